"""An exported model run by ONNX Runtime on CPU: logits of a text, and greedy generation.

ONNX Runtime is driven directly, as serving does: onnxruntime-genai gives the last token's logits
only, and perplexity needs all. The key-value cache is one buffer that the graph reads and extends.
"""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from olive_stage.cpu_quota import usable_cpus
from olive_stage.genai_folder import GENAI_CONFIG, MODEL_FILE

NUMPY = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


@dataclass(frozen=True)
class Generated:
    """Tokens without the stop token, seconds to the first one, and seconds for all the others."""

    tokens: list[int]
    first_seconds: float
    rest_seconds: float


class OnnxModel:
    """The model in an export artifact's folder, with an adapter's file or without one.

    It runs on the CPU whatever provider it was exported for; float16 graphs do too, slowly.
    """

    def __init__(self, folder: Path, adapter: Path | None = None) -> None:
        self._session = _session(folder, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
        self._inputs = {i.name: i for i in self._session.get_inputs()}
        self._cache = [n for n in self._inputs if n.startswith("past_key_values.")]
        decoder = read_genai_config(folder)["decoder"]
        self._heads = decoder["num_key_value_heads"], decoder["head_size"]
        self._adapter = _tensors(adapter) if adapter else {}

    def adapted(self, adapter: Path) -> "OnnxModel":
        """The same loaded model with the adapter of this file."""
        other = copy(self)
        other._adapter = _tensors(adapter)
        return other

    def logits(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        """Logits after every token, shape (tokens, vocabulary)."""
        return self._step(self._buffers(len(tokens)), tokens, 0)

    def generate(self, prompt: Sequence[int], limit: int, stops: Collection[int] = ()) -> Generated:
        """At most ``limit`` tokens after the prompt, each the likeliest, up to a token of stops."""
        cache = self._buffers(len(prompt) + limit)
        started = time.perf_counter()
        token = int(self._step(cache, prompt, 0)[-1].argmax())
        first = time.perf_counter()
        tokens: list[int] = []
        while token not in stops:
            tokens.append(token)
            if len(tokens) == limit:
                break
            past = len(prompt) + len(tokens) - 1
            token = int(self._step(cache, [token], past)[-1].argmax())
        return Generated(tokens, first - started, time.perf_counter() - first)

    def _buffers(self, length: int) -> dict[str, Any]:
        """A zero cache of ``length`` positions: (1, heads, length, head size) for each tensor."""
        heads, size = self._heads
        return {
            name: ort.OrtValue.ortvalue_from_numpy(
                np.zeros((1, heads, length, size), NUMPY[self._inputs[name].type])
            )
            for name in self._cache
        }

    def _step(
        self, cache: Mapping[str, Any], tokens: Sequence[int], past: int
    ) -> npt.NDArray[np.float32]:
        """Run the tokens after ``past`` cached ones; logits of shape (tokens, vocabulary)."""
        total = past + len(tokens)
        feeds = {
            "input_ids": np.array([tokens], np.int64),
            "attention_mask": np.ones((1, total), np.int64),
            "position_ids": np.arange(past, total, dtype=np.int64)[None],
        }
        binding = self._session.io_binding()
        for name, value in feeds.items():
            if name in self._inputs:
                binding.bind_cpu_input(name, value)
        for name, value in self._adapter.items():
            binding.bind_ortvalue_input(name, value)
        binding.bind_output("logits", "cpu")
        for name, value in cache.items():
            binding.bind_ortvalue_input(name, value)
            binding.bind_ortvalue_output(name.replace("past_key_values", "present"), value)
        self._session.run_with_iobinding(binding)
        logits: npt.NDArray[np.float32] = binding.get_outputs()[0].numpy()[0]
        return logits.astype(np.float32, copy=False)


def structure(folder: Path) -> None:
    """Load the graph without computing anything; ONNX Runtime raises if it is not a valid one.

    Types and shapes are inferred and the weights' places checked; nothing is optimized, so that no
    weight is touched.
    """
    _session(folder, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)


def _session(folder: Path, optimization: Any) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = usable_cpus()
    options.log_severity_level = 3
    options.graph_optimization_level = optimization
    return ort.InferenceSession(
        str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"]
    )


def _tensors(adapter: Path) -> Mapping[str, Any]:
    """The values of the graph's LoRA inputs by name."""
    found: Mapping[str, Any] = ort.AdapterFormat.read_adapter(str(adapter)).get_parameters()
    return found


def stop_tokens(folder: Path) -> set[int]:
    """The tokens at which generation ends, of the export's ``genai_config.json``."""
    ids = read_genai_config(folder)["eos_token_id"]
    return set(ids) if isinstance(ids, list) else {ids}


def read_genai_config(folder: Path) -> dict[str, Any]:
    """The ``model`` section of the export's ``genai_config.json``."""
    config: dict[str, Any] = json.loads((folder / GENAI_CONFIG).read_text())["model"]
    return config
