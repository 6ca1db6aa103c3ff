"""reference: the original model's perplexity, before quantization, on the rows of an evaluation.

On a CPU, in bfloat16 where the CPU computes in it: half of float32's memory and time, and what the
model was trained in. Rows and tokens are chosen by the code that evaluate chooses them by.
"""

import torch

from olive_contract.params import ReferenceParams
from olive_stage.checkpoint import load_model, load_tokenizer
from olive_stage.console import progress
from olive_stage.measured_rows import choose
from olive_stage.model_folder import remote_code
from olive_stage.perplexity import Perplexity
from olive_stage.work import Made, Work


def make(params: ReferenceParams, work: Work) -> Made:
    """Measure input ``model`` on input ``data``; the artifact is its metrics."""
    folder, runs_code = work.folder("model"), remote_code(work.input("model").about)
    tokenizer = load_tokenizer(folder, runs_code).backend_tokenizer
    measured = choose(params, work.folder("data"), tokenizer)
    progress(2, message="loading the model")
    dtype = native_dtype()
    model = load_model(folder, dtype, "cpu", runs_code).eval()
    perplexity = Perplexity()
    for number, ids in enumerate(measured.texts(), start=1):
        if len(ids) > 1:
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([ids[:-1]]), use_cache=False).logits[0]
            perplexity.add(logits.float().numpy(), ids[1:])
        progress(10 + 85 * number / len(measured.rows))
    return Made(
        metrics={
            "perplexity": perplexity.value,
            "rows": float(len(measured.rows)),
            "tokens": float(perplexity.tokens),
        },
        about={"computedIn": str(dtype).removeprefix("torch."), "heldOut": measured.held},
        libraries=("torch", "transformers", "tokenizers"),
    )


def native_dtype() -> torch.dtype:
    """bfloat16 on CPUs with instructions for it, which others only imitate; else float32."""
    has = torch.cpu.get_capabilities()
    return torch.bfloat16 if has.get("avx512_bf16") or has.get("amx_bf16") else torch.float32
