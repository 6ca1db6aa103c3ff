"""The graph of stages, derived from the spec: first in the flow of a plan, and pure.

::

    fetch/model ─► quantize ─┬─► export ──────────┬─► adapter/<a> ─► evaluate/<a>
    fetch/<a> ───────────────┴─► finetune/<a> ────┘                      ▲
                └─► reference/<a> ───────────────────────────────────────┘

``export`` needs no adapter and runs beside the fine-tunings. Each adapter is evaluated by itself,
so that a further one touches none of the others. A stage that asks for a GPU comes after its own
check, on a CPU (``check/quantize``, ``check/<a>``). A ``workflow`` stands in the place of quantize.
What is published (``publish/<target>``) comes after everything else.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace

from olive_contract.params import (
    AdapterParams,
    Calibration,
    CheckParams,
    EvaluateParams,
    ExportParams,
    FetchParams,
    FinetuneParams,
    QuantizeParams,
    ReferenceParams,
    RowsParams,
    WorkflowParams,
    body_of,
)
from olive_operator import names
from olive_operator.api.spec import (
    Adapter,
    CalibrationData,
    Data,
    EvaluationData,
    LoraSpec,
    Quantize,
    Spec,
)
from olive_operator.api.stage import Stage
from olive_operator.plan import publishing

WITHOUT_GPU = ("rtn",)
"""Algorithms that need no GPU: 3.8 G parameters are rounded in two minutes on two cores."""


def claim_of(spec: Spec) -> str:
    """The claim with the job's store."""
    return spec.storage.claim or names.DEFAULT_CLAIM


def graph(spec: Spec) -> tuple[Stage, ...]:
    """All stages of a job, each after those it reads."""
    made = tuple(_identified(stage, spec) for stage in _stages(spec))
    return (*made, *publishing.stages(spec, made))


def _identified(stage: Stage, spec: Spec) -> Stage:
    """A stage that fetches from Azure ML does so as who the job is there."""
    params = stage.params
    if isinstance(params, FetchParams) and params.source.startswith("azureml://"):
        return replace(stage, azure=spec.azure)
    return stage


def _stages(spec: Spec) -> Iterator[Stage]:
    on_gpu = spec.gpu.count > 0
    source = FetchParams(
        "model",
        spec.model.source,
        allowPickle=spec.model.allowPickle,
        trustRemoteCode=spec.model.trustRemoteCode,
    )
    yield Stage("fetch/model", "fetch", source, secret=spec.model.secretRef)
    model = "fetch/model"
    if spec.workflow is not None:
        model = "workflow"
        yield Stage(
            model, model, WorkflowParams(spec.workflow), {"model": "fetch/model"}, gpu=on_gpu
        )
    elif spec.quantize:
        yield from _quantize(spec.quantize, on_gpu)
        model = "quantize"
    yield Stage("export", "export", _export(spec), {"model": model})
    if spec.evaluate and spec.evaluate.data:
        yield from _evaluate_base(spec, spec.evaluate.data)
    for adapter in spec.adapters:
        yield from _adapter(adapter, spec, model, on_gpu)


def _export(spec: Spec) -> ExportParams:
    export = spec.export
    if spec.quantize or spec.workflow is not None:
        activations = export.activations if export.device == "cpu" else None
        return ExportParams(export.device, export.provider, "int4", export.head, activations)
    return ExportParams(
        export.device, export.provider, "fp32" if export.device == "cpu" else "fp16"
    )


def _quantize(quantize: Quantize, on_gpu: bool) -> Iterator[Stage]:
    inputs, calibration = {"model": "fetch/model"}, None
    if data := quantize.calibration:
        yield _fetch_data("calibration", data)
        inputs["calibration"] = "fetch/calibration"
        calibration = Calibration(data.template, data.samples, data.maxLength)
    params = QuantizeParams(quantize.algorithm, quantize.precision, quantize.groupSize, calibration)
    stage = Stage("quantize", "quantize", params, inputs)
    if on_gpu and quantize.algorithm not in WITHOUT_GPU:
        yield from _checked(stage, CheckParams("quantize", body_of(params)), inputs)
    else:
        yield stage


def _checked(stage: Stage, check: CheckParams, inputs: dict[str, str]) -> Iterator[Stage]:
    """A stage on a GPU, after its check on a CPU, which reads ``inputs``."""
    name = f"check/{stage.adapter or stage.name}"
    yield Stage(name, "check", check, inputs)
    yield Stage(
        stage.name, stage.kind, stage.params, stage.inputs, after=(*stage.after, name), gpu=True
    )


def _fetch_data(name: str, data: CalibrationData | Data | EvaluationData) -> Stage:
    params = FetchParams("data", data.source, data.template, sha256=data.sha256 or "")
    return Stage(f"fetch/{name}", "fetch", params, secret=data.secretRef)


def _evaluate_base(spec: Spec, data: EvaluationData) -> Iterator[Stage]:
    yield _fetch_data("base", data)
    samples = spec.evaluate.samples if spec.evaluate else 0
    rows = RowsParams(data.template, 0.0, 0, data.maxLength, samples)
    yield from _evaluated("base", spec, rows, {"base": "export"})


def _evaluated(name: str, spec: Spec, rows: RowsParams, inputs: dict[str, str]) -> Iterator[Stage]:
    """The evaluation of ``fetch/<name>``'s rows, and of the original on the same rows."""
    data, values = {"data": f"fetch/{name}"}, asdict(rows)
    inputs = {**inputs, **data}
    changed = spec.quantize is not None or spec.workflow is not None
    if changed and spec.evaluate and spec.evaluate.reference:
        original = {"model": "fetch/model", **data}
        yield Stage(f"reference/{name}", "reference", ReferenceParams(**values), original)
        inputs["reference"] = f"reference/{name}"
    yield Stage(f"evaluate/{name}", "evaluate", EvaluateParams(**values), inputs)


def _adapter(adapter: Adapter, spec: Spec, model: str, on_gpu: bool) -> Iterator[Stage]:
    name, data = adapter.name, adapter.data
    if data is None:
        params = FetchParams("adapter", adapter.source or "", allowPickle=adapter.allowPickle)
        yield Stage(f"fetch/{name}", "fetch", params, secret=adapter.secretRef)
        yield _convert(name, f"fetch/{name}")
        return
    yield _fetch_data(name, data)
    lora = adapter.lora or LoraSpec()
    stage = Stage(
        f"finetune/{name}",
        "finetune",
        FinetuneParams(data.template, data.evalSplit, lora),
        {"model": model, "data": f"fetch/{name}"},
    )
    if on_gpu:
        original = {"model": "fetch/model", "data": f"fetch/{name}"}
        yield from _checked(stage, CheckParams("finetune", body_of(stage.params)), original)
    else:
        yield stage
    yield _convert(name, f"finetune/{name}")
    if spec.evaluate:
        rows = RowsParams(
            data.template, data.evalSplit, lora.seed, lora.maxLength, spec.evaluate.samples
        )
        yield from _evaluated(name, spec, rows, {"base": "export", "adapter": f"adapter/{name}"})


def _convert(name: str, trained: str) -> Stage:
    return Stage(
        f"adapter/{name}", "adapter", AdapterParams(), {"base": "export", "adapter": trained}
    )
