"""The resolved parameters of every kind of stage: what the plan hashes and the stage obeys.

Every field is explicit: a default is the CRD's, so the same manifest gives the same key wherever
it is planned.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from olive_contract.serial import decode, encode

FetchWhat = Literal["model", "data", "adapter"]
Algorithm = Literal["awq", "gptq", "rtn"]
Device = Literal["cpu", "gpu"]
Provider = Literal["CPUExecutionProvider", "CUDAExecutionProvider"]
Head = Literal["int4", "int8", "fp16"]
Activations = Literal["int8", "float32"]
Schedule = Literal["linear", "cosine", "constant", "constant_with_warmup"]
ModelType = Literal["custom", "mlflow"]


@dataclass(frozen=True)
class FetchParams:
    """Bring a source onto the store.

    ``source`` is ``hf://owner/name[@revision]``, ``hf://datasets/owner/name[@revision]/file``,
    ``https://…`` (data only), ``s3://bucket/path``, ``az://container/path``, ``azureml://…`` (a
    model's version, or a path of a datastore) or ``pvc://claim/path``; a claim is mounted read-only
    at ``/sources/<claim>``. ``sha256`` is what
    one file must hash to. ``template`` is given for data: every column it names must be in every
    row. ``allowPickle``: pickled weights are read (without running their code) and kept as
    safetensors; ``trustRemoteCode``: the model's own Python files are kept, and run by later
    stages. The artifact's key is that of the *content* (``content_key``), found by the stage.
    """

    what: FetchWhat
    source: str
    template: str = ""
    sha256: str = ""
    allowPickle: bool = False
    trustRemoteCode: bool = False


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

    algorithm: Algorithm
    precision: Literal["int4"]
    groupSize: int
    calibration: Calibration | None = None


@dataclass(frozen=True)
class WorkflowParams:
    """An ``olive run`` configuration in place of quantize. Input: ``model``.

    The artifact is the workflow's best model: a Hugging Face folder, which goes on to fine-tuning
    and export, or a folder for onnxruntime-genai, which export takes as it is.
    """

    config: dict[str, Any]


@dataclass(frozen=True)
class Lora:
    """LoRA hyper-parameters in PEFT's and the Trainer's sense.

    ``batchSize`` rows a step whatever the number of GPUs; ``maxLength`` in tokens;
    ``targetModules`` empty means every linear layer of the blocks; ``layersToTransform`` empty
    means every layer; ``warmupRatio`` of ``maxSteps``. ``packing`` joins rows up to ``maxLength``.
    ``gradientCheckpointing`` None leaves the choice to the stage, by the model's size.
    """

    rank: int
    alpha: float
    maxSteps: int
    batchSize: int
    learningRate: float
    maxLength: int
    seed: int
    dropout: float = 0.05
    rankStabilized: bool = False
    targetModules: tuple[str, ...] = ()
    excludeModules: tuple[str, ...] = ()
    layersToTransform: tuple[int, ...] = ()
    rankPattern: dict[str, int] = field(default_factory=dict)
    alphaPattern: dict[str, float] = field(default_factory=dict)
    packing: bool = False
    gradientCheckpointing: bool | None = None
    warmupRatio: float = 0.03
    schedule: Schedule = "linear"
    weightDecay: float = 0.0


@dataclass(frozen=True)
class FinetuneParams:
    """Train a LoRA on ``model`` with ``data``; ``evalSplit`` of the rows are held out of it."""

    template: str
    evalSplit: float
    lora: Lora


@dataclass(frozen=True)
class CheckParams:
    """Whether a stage that asks for a GPU could do its work: its own checks, on a CPU.

    ``kind`` and ``params`` are those of that stage. Inputs: ``model`` (as fetched), and ``data`` or
    ``calibration`` where that stage reads rows. The artifact is empty but for what was found.
    """

    kind: Literal["quantize", "finetune"]
    params: dict[str, Any]


@dataclass(frozen=True)
class ExportParams:
    """ONNX for ``device`` and ``provider`` with LoRA inputs left open. Input: ``model``.

    ``head`` is the type of the output head's weights in an int4 model, ``activations`` what its
    blocks compute in on a CPU; None for a float model.
    """

    device: Device
    provider: Provider
    precision: Literal["int4", "fp32", "fp16"]
    head: Head | None = None
    activations: Activations | None = None


@dataclass(frozen=True)
class AdapterParams:
    """A PEFT adapter converted for a base graph. Inputs: ``base`` (export), ``adapter``.

    Nothing to choose: what the adapter was trained on and what the base was exported from stand in
    their artifacts (``about``), and must agree.
    """


@dataclass(frozen=True)
class RowsParams:
    """The rows that a measurement is made on: of the held-out part of ``data``, ``samples``."""

    template: str
    evalSplit: float
    seed: int
    maxLength: int
    samples: int


@dataclass(frozen=True)
class ReferenceParams(RowsParams):
    """Perplexity of the original ``model``, before quantization, on the rows of ``data``."""


@dataclass(frozen=True)
class EvaluateParams(RowsParams):
    """Measure ``base`` with ``adapter`` (if given) on the rows of ``data``.

    Input ``reference``, if given, is the original model's measurement of the same rows.
    """


@dataclass(frozen=True)
class AzureML:
    """A model in Azure ML: in a workspace of a subscription's resource group, or in a registry.

    ``type`` as Azure ML knows it: ``mlflow`` has an MLmodel file beside the same files.
    """

    model: str
    registry: str = ""
    subscription: str = ""
    resourceGroup: str = ""
    workspace: str = ""
    type: ModelType = "custom"
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HuggingFace:
    """A model repository on a Hugging Face hub, ``OWNER/NAME``; made if it is not there."""

    repository: str
    private: bool = True
    branch: str = "main"


@dataclass(frozen=True)
class OCI:
    """A repository of an OCI registry and a tag there: ``HOST[:PORT]/PATH:TAG``."""

    reference: str


@dataclass(frozen=True)
class PublishParams:
    """Publish an export with its adapters to one of these: exactly one is given.

    Inputs: ``base`` (export), ``model`` (as fetched; its record), and ``adapter/<name>`` and
    ``evaluate/<name>`` by name. What of them decides a version's content is the base's key and the
    adapters': where a version has the same, no second is made.
    """

    azureML: AzureML | None = None
    huggingFace: HuggingFace | None = None
    oci: OCI | None = None


Params = (
    FetchParams
    | CheckParams
    | QuantizeParams
    | WorkflowParams
    | FinetuneParams
    | ExportParams
    | AdapterParams
    | ReferenceParams
    | EvaluateParams
    | PublishParams
)

PARAMS: dict[str, type[Any]] = {
    "fetch": FetchParams,
    "check": CheckParams,
    "quantize": QuantizeParams,
    "workflow": WorkflowParams,
    "finetune": FinetuneParams,
    "export": ExportParams,
    "adapter": AdapterParams,
    "reference": ReferenceParams,
    "evaluate": EvaluateParams,
    "publish": PublishParams,
}


def params_of(kind: str, body: dict[str, Any]) -> Params:
    """The typed parameters of a stage of this kind; ValueError says which field is wrong."""
    params: Params = decode(PARAMS[kind], body)
    return params


def body_of(params: Params) -> dict[str, Any]:
    """The parameters as plain JSON values: what is hashed and handed to the pod."""
    body: dict[str, Any] = encode(params)
    return body
