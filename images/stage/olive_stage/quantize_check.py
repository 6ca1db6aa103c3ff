"""What quantize refuses, found without torch and before a GPU is asked for.

The stage runs the same function: there is no second opinion.
"""

import re
from pathlib import Path

from olive_contract.params import Calibration, QuantizeParams
from olive_stage import rows, template
from olive_stage.genai_folder import GENAI_CONFIG
from olive_stage.model_folder import check_folder, quantization_of, read_config, read_tensors
from olive_stage.safetensors_file import Tensor
from olive_stage.tokenizer_file import TOKENIZER, read_tokenizer
from olive_stage.work import invalid

GROUP_SIZES = (16, 32, 64, 128, 256)
LAYER = re.compile(r"\.layers\.(\d+)\.")
LINEAR = re.compile(r"\.layers\.\d+\..*proj\.weight$")
NEED_DATA = ("awq", "gptq")
LEAST_ROWS = 8
LEAST_TOKENS = 128
"""Fewer say nothing of which channels a text excites."""

AWQ_ARCHITECTURES = (
    "CohereForCausalLM",
    "Exaone4ForCausalLM",
    "Gemma2ForCausalLM",
    "Gemma3ForCausalLM",
    "GraniteForCausalLM",
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Olmo3ForCausalLM",
    "Phi3ForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "SeedOssForCausalLM",
)
"""llm-compressor knows what may be scaled in them. To any other it does what fits Llama, which
leaves some models as they were (nothing matches) and makes others wrong (norms that stand
elsewhere), and says nothing."""


def check(params: QuantizeParams, model: Path, calibration: Path | None) -> dict[str, float]:
    """How many layers and calibration rows and tokens there are; InvalidInput if it cannot be done.

    ``calibration`` is the data artifact's folder, None if the stage is given none.
    """
    if (model / GENAI_CONFIG).is_file():
        raise invalid("the model is an ONNX one, which is taken as it is; leave out quantize")
    about = check_folder(model, "the model")
    if method := quantization_of(read_config(model)):
        raise invalid(f"the model is quantized already (by {method!r}); leave out quantize")
    linear = linear_layers(read_tensors(model, "the model"))
    check_widths(params.groupSize, {shape[1] for shape in linear.values()})
    if params.algorithm == "awq" and about["architecture"] not in AWQ_ARCHITECTURES:
        raise invalid(
            f"awq does not know {about['architecture']} (it knows {', '.join(AWQ_ARCHITECTURES)}); "
            "use gptq or rtn"
        )
    found = {"linearLayers": float(len(linear))}
    if params.algorithm in NEED_DATA:
        if params.calibration is None or calibration is None:
            raise invalid(
                f"{params.algorithm} needs calibration data; give quantize.calibration, or use rtn"
            )
        found |= check_rows(params.calibration, calibration, model)
    return found


def linear_layers(tensors: dict[str, Tensor]) -> dict[str, tuple[int, int]]:
    """Shape (out, in) of every linear layer inside the decoder's blocks, by its weight's name."""
    found = {
        name: (tensor.shape[0], tensor.shape[1])
        for name, tensor in tensors.items()
        if LINEAR.search(name) and len(tensor.shape) == 2
    }
    if not found:
        raise invalid("the model has no linear layers named as decoders name them (*_proj)")
    return found


def check_widths(group_size: int, widths: set[int]) -> None:
    """InvalidInput if a layer's inputs cannot be cut into groups of this size."""
    fitting = [g for g in GROUP_SIZES if all(width % g == 0 for width in widths)]
    if group_size not in fitting:
        raise invalid(
            f"groupSize {group_size} does not divide the layers' widths "
            f"({', '.join(map(str, sorted(widths)))}); possible: "
            f"{', '.join(map(str, fitting)) or 'none'}"
        )


def check_rows(asked: Calibration, data: Path, model: Path) -> dict[str, float]:
    """How many rows, and tokens of them, calibrate; InvalidInput if they are too few to say much.

    Tokens are counted where the tokenizer is in the file that needs no code to be read.
    """
    form = template.parse(asked.template)
    texts = [form.render(row) for row in rows.read_rows(data, form)[: asked.samples]]
    found = {"calibrationRows": float(sum(bool(text.strip()) for text in texts))}
    said = f"the calibration data has {found['calibrationRows']:.0f} rows of text"
    if (model / TOKENIZER).is_file():
        tokenizer = read_tokenizer(model / TOKENIZER, "the model")
        lengths = [len(ids.ids) for ids in tokenizer.encode_batch(texts, add_special_tokens=False)]
        found["calibrationTokens"] = float(sum(min(n, asked.maxLength) for n in lengths))
        said += f" with {found['calibrationTokens']:.0f} tokens"
    least_rows, least_tokens = min(LEAST_ROWS, asked.samples), LEAST_TOKENS
    enough = found.get("calibrationTokens", least_tokens) >= least_tokens
    if found["calibrationRows"] < least_rows or not enough:
        raise invalid(f"{said}; at least {least_rows} rows and {least_tokens} tokens are needed")
    return found
