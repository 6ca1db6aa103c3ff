"""AWQ by llm-compressor: scales that protect the channels that the calibration rows excite.

The decoder's layers are calibrated one after the other. Model and activations stay on the GPU when
they fit; a smaller GPU holds one layer at a time, with smaller batches.
"""

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from compressed_tensors.utils import patch_attr
from llmcompressor import oneshot
from llmcompressor.core import active_session
from llmcompressor.logger import LoggerConfig, configure_logger
from llmcompressor.modifiers import Modifier
from llmcompressor.modifiers.quantization import QuantizationModifier
from llmcompressor.modifiers.transform.awq import AWQModifier
from llmcompressor.pipelines.cache import IntermediatesCache
from pydantic import ConfigDict
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.calibration import Tokens, batches
from olive_stage.console import say
from olive_stage.pace import Pace

BATCH_TOKENS = 4096
ATTEMPTS = 3
RESIDENT_SHARE = 0.4
"""Of the GPU's free memory, for the weights to stay there: activations need the rest."""

Load = Callable[[str], PreTrainedModel]


def awq(
    load: Load, tokenizer: Any, size: int, rows: list[Tokens], group_size: int, less: int = 0
) -> PreTrainedModel:
    """The model that ``load(device)`` gives, with scales for every linear layer but the head.

    ``size`` is the weights' in bytes; ``less``: see Work. Out of GPU memory, the batches are halved
    and the weights moved to the CPU but for the layer in hand; StageFailure GPUOutOfMemory when
    that is too much.
    """
    tokens, resident = max(BATCH_TOKENS >> less, 1), not less and fits(size)
    for _ in range(ATTEMPTS):
        model = load("cuda" if resident else "cpu")
        if fitted(model, tokenizer, batches(rows, tokens), group_size, resident):
            return model
        del model
        active_session().reset()  # it holds the model too
        gc.collect()
        torch.cuda.empty_cache()
        tokens, resident = max(tokens // 2, 1), False
        say(f"out of GPU memory: again with batches of {tokens} tokens, layer by layer")
    raise StageFailure(
        FailureClass.GPU_OUT_OF_MEMORY,
        f"AWQ runs out of GPU memory even with batches of {2 * tokens} tokens and one layer at a "
        "time on the GPU; give quantize.calibration fewer samples, or a GPU with more memory",
    )


def fits(size: int) -> bool:
    """Whether a GPU is there whose free memory takes weights of ``size`` bytes and the work."""
    if not torch.cuda.is_available():
        return False
    free, _ = torch.cuda.mem_get_info()
    return bool(size < RESIDENT_SHARE * free)


def fitted(*work: Any) -> bool:
    """``calibrate``; False if the GPU's memory did not suffice (the model is then half done)."""
    try:
        calibrate(*work)
    except torch.OutOfMemoryError:
        return False
    return True


def calibrate(
    model: PreTrainedModel,
    tokenizer: Any,
    calibration: list[dict[str, Any]],
    group_size: int,
    resident: bool,
) -> None:
    """Smooth and scale the model's layers in place, one after the other."""
    level = "WARNING" if torch.cuda.is_available() else "ERROR"  # it warns of no GPU ever again
    configure_logger(LoggerConfig(console_log_level=level))
    weights = {"num_bits": 4, "type": "int", "symmetric": True}
    weights |= {"strategy": "group", "group_size": group_size}
    group = {"targets": ["Linear"], "weights": weights}
    pace = Pace("layer", model.config.get_text_config().num_hidden_layers, start=5, end=90)
    with _memory():
        oneshot(
            model=model,
            processor=tokenizer,
            # it reads the config again; a class of the model's own is there only if it is trusted
            trust_remote_code_model=type(model).__module__.startswith("transformers_modules"),
            dataset=DataLoader(calibration, batch_size=None),
            recipe=[
                AWQModifier(offload_device=None if resident else torch.device("cpu")),
                QuantizationModifier(ignore=["lm_head"], config_groups={"group": group}),
                Paced(pace=pace),
            ],
            pipeline="sequential",
            sequential_offload_device="cuda" if resident else "cpu",
            # Smoothing leaves a layer's outputs as they were and rounding waits for the end, so the
            # outputs seen while calibrating are the next layer's inputs: no second pass is needed.
            propagate_error=False,
            use_loss_mask="loss_mask" in calibration[0],
        )


def _memory() -> AbstractContextManager[Any]:
    """Without a GPU nothing can be pinned for it, which llm-compressor takes for granted."""
    if torch.cuda.is_available():
        return nullcontext()
    unpinned: AbstractContextManager[Any] = patch_attr(
        IntermediatesCache, "pin_memory", lambda *args: None
    )
    return unpinned


class Paced(Modifier):  # type: ignore[misc]
    """Changes nothing: a progress line when the modifiers before it are done with a layer."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    pace: Pace

    def on_initialize(self, state: Any, **kwargs: Any) -> bool:
        return True

    def on_sequential_epoch_end(
        self, state: Any, event: Any, modules: list[torch.nn.Module], **kwargs: Any
    ) -> None:
        if any(hasattr(module, "weight_scale") for module in modules):
            self.pace.step()
