"""The model card of a version: what it is, what it is made from, how good it is. Pure.

Markdown behind a front matter that hubs read (huggingface.co/docs/hub/model-cards).
Every text that is not ours stands in it as data: quoted, or in a code span.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from olive_stage.publish.origin import AdapterOrigin, Fetched, Origin

CARD_FILE: Final = "README.md"
UNKNOWN_LICENSE: Final = (
    "The base model's source names none; ask whoever made it before you pass this on."
)


def card(origin: Origin) -> str:
    """The card's text."""
    return "\n".join((*_front_matter(origin), *_body(origin))) + "\n"


def _front_matter(origin: Origin) -> Iterator[str]:
    """JSON is YAML: what is quoted so is read as it was written."""
    yield "---"
    yield "library_name: onnxruntime-genai"
    if model := hub_name(origin.model):
        yield f"base_model: {json.dumps(model)}"
        yield (
            "base_model_relation: quantized"
            if _quantized(origin)
            else "base_model_relation: adapter"
        )
    if origin.model.license:
        yield f"license: {json.dumps(origin.model.license)}"
    yield "tags: [onnx, olive, lora, cpu]" if origin.adapters else "tags: [onnx, olive, cpu]"
    yield "---"


def _body(origin: Origin) -> Iterator[str]:
    yield ""
    yield f"# {code(origin.job.rpartition('/')[2] or 'model')}"
    yield ""
    count = len(origin.adapters)
    adapters = f"{count} LoRA adapter{'s' if count > 1 else ''}" if count else "no adapters"
    yield f"An ONNX model for CPUs, for onnxruntime-genai and ONNX Runtime, with {adapters}."
    yield ""
    yield "## Made from"
    yield ""
    yield f"- Model: {_place(origin.model)}"
    terms = code(origin.model.license) if origin.model.license else UNKNOWN_LICENSE
    yield f"- License of that model: {terms}"
    for kind, params in origin.how:
        yield f"- {_how(kind, params)}"
    if origin.calibration:
        yield f"- Calibrated with: {_place(origin.calibration)}"
    yield f"- By the OptimizationJob {code(origin.job)}"
    for key in origin.swept:
        yield f"- Artifact {code(key)}, whose record was no longer in the store"
    for adapter in origin.adapters:
        yield from _adapter(adapter)
    yield from _quality(origin)
    yield ""
    yield "## Files"
    yield ""
    yield "The folder is one that onnxruntime-genai loads, and `adapters/NAME` what its"
    yield "`Adapters.load` takes."
    yield f"The content is {code(origin.content)}: the model {code(origin.base)} and its adapters."
    yield "`bom.cdx.json` is the bill of materials (CycloneDX)."


def _adapter(adapter: AdapterOrigin) -> Iterator[str]:
    yield ""
    yield f"### Adapter {code(adapter.name)}"
    yield ""
    yield f"- Rank {adapter.rank}, key {code(adapter.key)}"
    if adapter.data:
        yield f"- Trained on: {_place(adapter.data)}"
    if adapter.source:
        yield f"- Made elsewhere: {_place(adapter.source)}"
        if adapter.source.license:
            yield f"- License of it: {code(adapter.source.license)}"
    if adapter.training:
        told = ", ".join(f"{k} {_text(v)}" for k, v in adapter.training.items() if _tells(v))
        yield f"- Hyper-parameters: {code(told)}"


def _quality(origin: Origin) -> Iterator[str]:
    """A table of what was measured, one column for each adapter and the base."""
    measured = {"base": origin.metrics, **{a.name: a.metrics for a in origin.adapters}}
    measured = {name: metrics for name, metrics in measured.items() if metrics}
    yield ""
    yield "## Quality"
    yield ""
    if not measured:
        yield "Nothing was measured."
    else:
        yield f"| metric | {' | '.join(map(code, measured))} |"
        yield f"|---{'|---' * len(measured)}|"
        for metric in sorted({m for metrics in measured.values() for m in metrics}):
            values = (_cell(metrics.get(metric)) for metrics in measured.values())
            yield f"| {metric} | {' | '.join(values)} |"
    if origin.gates:
        yield ""
        yield f"Gates that it has passed: {'; '.join(origin.gates)}."


def hub_name(model: Fetched) -> str:
    """OWNER/NAME of a model from a Hugging Face hub; empty for any other."""
    return (
        model.source.removeprefix("hf://").partition("@")[0]
        if model.source.startswith("hf://")
        else ""
    )


def code(text: str) -> str:
    """A code span, whatever the text holds (CommonMark 6.1)."""
    text = " ".join(text.split()).replace("|", "¦")
    fence = "`" * (1 + max((len(run) for run in _runs(text)), default=0))
    pad = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _runs(text: str) -> Iterator[str]:
    run = ""
    for character in text:
        if character == "`":
            run += character
        elif run:
            yield run
            run = ""
    if run:
        yield run


def _place(fetched: Fetched) -> str:
    return (
        f"{code(fetched.source or 'a source that is not told')} (content {code(fetched.content)})"
    )


def _how(kind: str, params: Mapping[str, Any]) -> str:
    told = ", ".join(f"{k} {_text(v)}" for k, v in params.items() if _tells(v))
    return f"{kind.capitalize()}: {code(told)}" if told else kind.capitalize()


def _tells(value: object) -> bool:
    return isinstance(value, str | int | float) and value != ""


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if value.is_integer() else f"{value:.6g}"


def _quantized(origin: Origin) -> bool:
    return any(kind in ("quantize", "workflow") for kind, _ in origin.how)
