"""finetune: a LoRA trained on the model as it will be served, quantized or not.

The loss is over the whole rendered text, as in Olive's LoRA pass. On several GPUs one process each
does the same (``train_one``) with its share of every batch.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from transformers import set_seed

from olive_contract.params import FinetuneParams
from olive_stage import rows, template
from olive_stage.batches import to_train_on, tokenize
from olive_stage.checkpoint import load_model, load_tokenizer
from olive_stage.console import progress, say
from olive_stage.finetune_check import check_lora, check_trainable
from olive_stage.losses import curve
from olive_stage.model_folder import remote_code
from olive_stage.olive_lora import add_lora, save_adapter, unpack_if_it_fits
from olive_stage.packing import check_packing
from olive_stage.processes import launch, own_device, processes
from olive_stage.ranks import Ranks
from olive_stage.training import train
from olive_stage.work import Made, Work

LOSSES = "losses.json"
"""``[[step, loss], …]``, evenly thinned; those of interrupted attempts included."""


@dataclass(frozen=True)
class Job:
    """What a process needs to train, in values that can be handed to another process."""

    params: FinetuneParams
    model: Path
    data: Path
    checkpoints: Path
    out: Path
    trained_on: str
    remote_code: bool
    less: int = 0


def make(params: FinetuneParams, work: Work) -> Made:
    """Train on input ``data`` beside input ``model``; the artifact is a PEFT folder."""
    check_trainable(work.folder("model"))
    model = work.input("model")
    job = Job(
        params,
        work.folder("model"),
        work.folder("data"),
        work.scratch() / "checkpoints",
        work.out,
        model.key,
        remote_code(model.about),
        work.less,
    )
    trainable = check_lora(params.lora, job.model)
    work.need(trainable * 4 * 7)  # the adapter, and two checkpoints with the optimizer's state
    _, held, _ = read(job)
    count = min(processes(), params.lora.batchSize)
    if count > 1:
        say(f"training on {count} GPUs")
        found = launch(train_one, job, count)
    else:
        found = [train_one(job, Ranks())]
    metrics = dict(found[0])
    if peaks := [each["peakGpuMemoryBytes"] for each in found if "peakGpuMemoryBytes" in each]:
        metrics["peakGpuMemoryBytes"] = max(peaks)
    return Made(
        metrics=metrics,
        about={"trainedOn": model.key, "heldOut": len(held), "processes": count},
        libraries=("torch", "transformers", "peft", "accelerate", "olive-ai"),
    )


def read(job: Job) -> tuple[list[rows.Row], list[rows.Row], template.Template]:
    """The rows to train on, those held out, and the form of their texts."""
    form = template.parse(job.params.template)
    found = rows.read_rows(job.data, form)
    return *rows.split(found, job.params.evalSplit, job.params.lora.seed), form


def train_one(job: Job, ranks: Ranks) -> dict[str, float]:
    """The training in this process; the first process leaves the adapter in ``job.out``."""
    lora = job.params.lora
    kept, held, form = read(job)
    say(f"{len(kept)} rows to train on, {len(held)} held out")
    progress(0, message="loading the model")
    tokenizer = load_tokenizer(job.model, job.remote_code)

    def encode(texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids

    learnt = tokenize(kept, form, encode, lora.maxLength)
    if learnt.cut:
        say(f"{learnt.cut} rows are longer than maxLength {lora.maxLength} tokens and are cut")
    examples = to_train_on(learnt, lora)
    if lora.packing:
        say(f"{len(learnt.rows)} rows packed into {len(examples)}")
    measured = [[ids] for ids in tokenize(held, form, encode, lora.maxLength).rows]
    set_seed(lora.seed)
    base = load_model(job.model, device=own_device(), remote_code=job.remote_code)
    packed = job.less > 0 or unpack_if_it_fits(base)
    model = add_lora(base, lora)
    if lora.packing:
        check_packing(model, learnt.rows)
    trained = train(
        model,
        lora,
        examples,
        measured,
        tokenizer.pad_token_id,
        job.checkpoints,
        ranks,
        packed,
        job.less,
    )
    if ranks.first:
        progress(98, message="saving the adapter")
        save_adapter(model, job.out, job.trained_on)
        (job.out / LOSSES).write_text(json.dumps(curve(trained.losses)))
    return trained.metrics
