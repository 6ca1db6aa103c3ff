"""check: what a stage with a GPU would refuse, found on a CPU before a GPU is asked for.

The stage's own check runs here, on headers and rows alone: nothing imports torch.
"""

import json

from olive_contract.params import CheckParams, FinetuneParams, QuantizeParams, params_of
from olive_stage.finetune_check import check as check_finetune
from olive_stage.quantize_check import check as check_quantize
from olive_stage.work import Made, Work, invalid


def make(params: CheckParams, work: Work) -> Made:
    """Write what the check of ``kind`` counted to ``check.json``; InvalidInput if it refuses."""
    found = checked(params, work)
    (work.out / "check.json").write_text(json.dumps({"kind": params.kind, "found": found}))
    return Made(metrics=found, libraries=("safetensors", "tokenizers"))


def checked(params: CheckParams, work: Work) -> dict[str, float]:
    """What the stage's own check finds."""
    try:
        asked = params_of(params.kind, params.params)
    except ValueError as error:
        raise invalid(f"a parameter of {params.kind} is wrong: {error}") from error
    model = work.folder("model")
    if isinstance(asked, QuantizeParams):
        data = work.folder("calibration") if "calibration" in work.inputs else None
        return check_quantize(asked, model, data)
    if isinstance(asked, FinetuneParams):
        return check_finetune(asked, model, work.folder("data"))
    raise invalid(f"there is no check of a {params.kind} stage")
