"""The resolved parameters of every kind of stage: what the plan hashes and the stage obeys.

Every field is explicit: a default is the CRD's, so the same manifest gives the same key wherever
it is planned.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from olive_contract.serial import decode

FetchWhat = Literal["model", "data", "adapter"]


@dataclass(frozen=True)
class FetchParams:
    """Bring a source onto the store.

    ``source`` is ``hf://owner/name[@revision]``, ``hf://datasets/owner/name[@revision]/file``,
    ``https://…`` (data only) or ``pvc://claim/path``; a claim is mounted read-only at
    ``/sources/<claim>``. ``template`` is given for data: every column it names must be in every
    row. The artifact's key is that of the *content* (``content_key``), found by the stage.
    """

    what: FetchWhat
    source: str
    template: str = ""


@dataclass(frozen=True)
class Calibration:
    """How many calibration rows, cut to how many tokens, rendered by which template."""

    template: str
    samples: int
    maxLength: int


@dataclass(frozen=True)
class QuantizeParams:
    """Weights to ``precision`` by ``algorithm`` in groups of ``groupSize``, symmetric.

    Inputs: ``model``, and ``calibration`` where the algorithm needs data. ``groupSize`` in weights.
    """

    algorithm: Literal["rtn", "gptq"]
    precision: Literal["int4"]
    groupSize: int
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Lora:
    """LoRA hyper-parameters in PEFT's and the Trainer's sense (``maxLength`` in tokens)."""

    rank: int
    alpha: float
    maxSteps: int
    batchSize: int
    learningRate: float
    maxLength: int
    seed: int


@dataclass(frozen=True)
class FinetuneParams:
    """Train a LoRA on ``model`` with ``data``; ``evalSplit`` of the rows are held out of it."""

    template: str
    evalSplit: float
    lora: Lora


@dataclass(frozen=True)
class ExportParams:
    """ONNX for ``device`` and ``provider`` with LoRA inputs left open. Input: ``model``."""

    device: Literal["cpu"]
    provider: Literal["CPUExecutionProvider"]
    precision: Literal["int4", "fp32"]


@dataclass(frozen=True)
class AdapterParams:
    """A PEFT adapter converted for a base graph. Inputs: ``base`` (export), ``adapter``.

    Nothing to choose: what the adapter was trained on and what the base was exported from stand in
    their artifacts (``about``), and must agree.
    """


@dataclass(frozen=True)
class EvaluateParams:
    """Measure ``base`` with ``adapter`` on the held-out rows of ``data``, at most ``samples``."""

    template: str
    evalSplit: float
    seed: int
    maxLength: int
    samples: int


Params = (
    FetchParams | QuantizeParams | FinetuneParams | ExportParams | AdapterParams | EvaluateParams
)

PARAMS: dict[str, type[Any]] = {
    "fetch": FetchParams,
    "quantize": QuantizeParams,
    "finetune": FinetuneParams,
    "export": ExportParams,
    "adapter": AdapterParams,
    "evaluate": EvaluateParams,
}


def params_of(kind: str, body: dict[str, Any]) -> Params:
    """The typed parameters of a stage of this kind; ValueError says which field is wrong."""
    params: Params = decode(PARAMS[kind], body)
    return params


def body_of(params: Params) -> dict[str, Any]:
    """The parameters as plain JSON values: what is hashed and handed to the pod."""
    return asdict(params)
