"""finetune: a LoRA trained on the model as it will be served, quantized or not.

The loss is over the whole rendered text, as in Olive's LoRA pass. Tokens are exactly the
template's: no begin-of-text token is added, as none is when chats are served.
"""

from typing import Any

from transformers import set_seed

from olive_contract.params import FinetuneParams
from olive_stage import rows, template
from olive_stage.checkpoint import load_model, load_tokenizer
from olive_stage.console import progress, say
from olive_stage.olive_lora import add_lora, save_adapter
from olive_stage.training import Tokens, train
from olive_stage.work import Made, Work


def make(params: FinetuneParams, work: Work) -> Made:
    """Train on input ``data`` beside input ``model``; the artifact is a PEFT folder."""
    form = template.parse(params.template)
    kept, held = rows.split(
        rows.read_rows(work.folder("data"), form), params.evalSplit, params.lora.seed
    )
    say(f"{len(kept)} rows to train on, {len(held)} held out")
    progress(0, message="loading the model")
    tokenizer = load_tokenizer(work.folder("model"))
    limit = params.lora.maxLength
    set_seed(params.lora.seed)
    model = add_lora(load_model(work.folder("model")), params.lora)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    work.need(trainable * 4 * 7)  # the adapter, and two checkpoints with the optimizer's state
    metrics = train(
        model,
        params.lora,
        tokenize(kept, form, tokenizer, limit),
        tokenize(held, form, tokenizer, limit),
        tokenizer.pad_token_id,
        work.scratch() / "checkpoints",
    )
    progress(98, message="saving the adapter")
    trained_on = work.input("model").key
    save_adapter(model, work.out, trained_on)
    return Made(
        metrics={**metrics, "trainableParameters": float(trainable)},
        about={"trainedOn": trained_on, "heldOut": len(held)},
        libraries=("torch", "transformers", "peft", "accelerate", "olive-ai"),
    )


def tokenize(
    data: list[rows.Row], form: template.Template, tokenizer: Any, limit: int
) -> list[Tokens]:
    """The rows' token ids, each at most ``limit`` long."""
    found = [tokenizer(form.render(row), add_special_tokens=False)["input_ids"] for row in data]
    if cut := sum(len(ids) > limit for ids in found):
        say(f"{cut} of {len(found)} rows are longer than maxLength {limit} tokens and are cut")
    return [{"input_ids": ids[:limit]} for ids in found]
