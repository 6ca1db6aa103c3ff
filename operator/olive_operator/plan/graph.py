"""The graph of stages, derived from the spec: first in the flow of a plan, and pure.

::

    fetch/model ─► quantize ─┬─► export ──────────┬─► adapter/<a> ─► evaluate/<a>
    fetch/<a> ───────────────┴─► finetune/<a> ────┘

``export`` needs no adapter and runs beside the fine-tunings. Each adapter is evaluated by itself,
so that a further one touches none of the others.
"""

from collections.abc import Iterator

from olive_contract.params import (
    AdapterParams,
    Calibration,
    EvaluateParams,
    ExportParams,
    FetchParams,
    FinetuneParams,
    Lora,
    QuantizeParams,
)
from olive_operator import names
from olive_operator.api.spec import Adapter, LoraSpec, Quantize, Spec
from olive_operator.api.stage import Stage


def claim_of(spec: Spec) -> str:
    """The claim with the job's store."""
    return spec.storage.claim or names.DEFAULT_CLAIM


def graph(spec: Spec) -> tuple[Stage, ...]:
    """All stages of a job, each after those it reads."""
    return tuple(_stages(spec))


def _stages(spec: Spec) -> Iterator[Stage]:
    on_gpu = spec.gpu.count > 0
    yield Stage(
        "fetch/model", "fetch", FetchParams("model", spec.model.source), secret=spec.model.secretRef
    )
    model = "fetch/model"
    if spec.quantize:
        yield from _quantize(spec.quantize, on_gpu)
        model = "quantize"
    yield Stage(
        "export",
        "export",
        ExportParams(spec.export.device, spec.export.provider, "int4" if spec.quantize else "fp32"),
        {"model": model},
    )
    for adapter in spec.adapters:
        yield from _adapter(adapter, spec, model, on_gpu)


def _quantize(quantize: Quantize, on_gpu: bool) -> Iterator[Stage]:
    inputs, calibration = {"model": "fetch/model"}, None
    if data := quantize.calibration:
        yield Stage(
            "fetch/calibration",
            "fetch",
            FetchParams("data", data.source, data.template),
            secret=data.secretRef,
        )
        inputs["calibration"] = "fetch/calibration"
        calibration = Calibration(data.template, data.samples, data.maxLength)
    params = QuantizeParams(quantize.algorithm, quantize.precision, quantize.groupSize, calibration)
    # Rounding to nearest needs no data and no GPU: 3.8 G parameters take two minutes on two cores.
    yield Stage("quantize", "quantize", params, inputs, gpu=on_gpu and quantize.algorithm != "rtn")


def _adapter(adapter: Adapter, spec: Spec, model: str, on_gpu: bool) -> Iterator[Stage]:
    name, data = adapter.name, adapter.data
    if data is None:
        yield Stage(
            f"fetch/{name}",
            "fetch",
            FetchParams("adapter", adapter.source or ""),
            secret=adapter.secretRef,
        )
        yield _convert(name, f"fetch/{name}")
        return
    yield Stage(
        f"fetch/{name}",
        "fetch",
        FetchParams("data", data.source, data.template),
        secret=data.secretRef,
    )
    lora = _lora(adapter.lora or LoraSpec())
    yield Stage(
        f"finetune/{name}",
        "finetune",
        FinetuneParams(data.template, data.evalSplit, lora),
        {"model": model, "data": f"fetch/{name}"},
        gpu=on_gpu,
    )
    yield _convert(name, f"finetune/{name}")
    if spec.evaluate:
        yield Stage(
            f"evaluate/{name}",
            "evaluate",
            EvaluateParams(
                data.template, data.evalSplit, lora.seed, lora.maxLength, spec.evaluate.samples
            ),
            {"base": "export", "adapter": f"adapter/{name}", "data": f"fetch/{name}"},
        )


def _convert(name: str, trained: str) -> Stage:
    return Stage(
        f"adapter/{name}", "adapter", AdapterParams(), {"base": "export", "adapter": trained}
    )


def _lora(spec: LoraSpec) -> Lora:
    return Lora(
        spec.rank,
        spec.alpha,
        spec.maxSteps,
        spec.batchSize,
        spec.learningRate,
        spec.maxLength,
        spec.seed,
    )
