"""The exported model in ONNX Runtime: tokens of some rows in, the logits of their last ones out.

The session reads and writes arrays that stay where they are, so a step binds nothing anew but a
prompt's tokens. Python's lock is free while it computes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from olive_serve.worker import graph, native
from olive_serve.worker.kv_cache import KvCache, KvShape
from olive_serve.worker.lora import LoraBank
from olive_serve.worker.sampling import Logits

MODEL_FILE: Final = "model.onnx"
_ELEMENTS: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
NO_ADAPTER: Final = -1


@dataclass(frozen=True)
class ModelInfo:
    """What ``genai_config.json`` says of the model."""

    context_length: int
    ends: frozenset[int]
    kv_heads: int
    head_size: int

    @staticmethod
    def read(folder: Path) -> "ModelInfo":
        """Raises OSError, ValueError or KeyError."""
        config = json.loads((folder / "genai_config.json").read_text())["model"]
        ends = config["eos_token_id"]
        return ModelInfo(
            context_length=config["context_length"],
            ends=frozenset(ends if isinstance(ends, list) else [ends]),
            kv_heads=config["decoder"]["num_key_value_heads"],
            head_size=config["decoder"]["head_size"],
        )


class Model:
    """The graph in ``folder``, on so many threads; ``reserve`` before the first step.

    Raises graph.GraphRefused, or RuntimeError of ONNX Runtime.
    """

    def __init__(self, folder: Path, info: ModelInfo, *, threads: int) -> None:
        batch = graph.batchable(folder / MODEL_FILE, own_products=native.multiplies())
        self.adapters = LoraBank(batch.sites)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # A thread that others keep from its core must not have the same share as the rest.
        options.add_session_config_entry("session.dynamic_block_base", "4")
        options.register_custom_ops_library(str(native.LIBRARY))
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(folder)
        )
        options.add_external_initializers(
            list(batch.weights), [*map(ort.OrtValue.ortvalue_from_numpy, batch.weights.values())]
        )
        self._session = ort.InferenceSession(
            batch.onnx, options, providers=["CPUExecutionProvider"]
        )
        inputs = {i.name: i for i in self._session.get_inputs()}
        past = [i for name, i in inputs.items() if name.startswith("past_key_values.")]
        self.kv_shape = KvShape(
            names=tuple(i.name for i in past),
            heads=info.kv_heads,
            head_size=info.head_size,
            dtype=np.dtype(_ELEMENTS[past[0].type]),
        )
        self._takes_positions = "position_ids" in inputs
        logits = next(o for o in self._session.get_outputs() if o.name == "logits")
        self.vocabulary = batch.vocabulary
        self._logits_type = np.dtype(_ELEMENTS[logits.type])

    def reserve(self, *, rows: int, positions: int) -> None:
        """Take address space for so many sequences; memory comes with their tokens."""
        self.cache = KvCache(self.kv_shape, rows=rows, positions=positions)
        self._past = np.zeros(rows, np.int32)
        self._adapter = np.full(rows, NO_ADAPTER, np.int32)
        self._longest = np.zeros((), np.int32)
        self._next = np.zeros((rows, 1), np.int64)
        self._logits = np.zeros((rows, 1, self.vocabulary), self._logits_type)
        self._bindings: dict[tuple[int, int], Any] = {}

    def decode(
        self, tokens: Sequence[int], lengths: Sequence[int], adapters: Sequence[int]
    ) -> Logits:
        """One more token of each of the rows 0, 1, …, after so many that the cache holds.

        The logits (rows, vocabulary) are valid until the next call.
        """
        rows = len(tokens)
        self._next[:rows, 0] = tokens
        return self._run(0, rows, self._next[:rows], lengths, adapters)

    def prefill(self, row: int, tokens: Sequence[int], length: int, adapter: int) -> Logits:
        """Read more of a row's prompt, after so many cached tokens; logits (vocabulary,)."""
        logits: Logits = self._run(row, row + 1, np.array([tokens], np.int64), [length], [adapter])[
            0
        ]
        return logits

    def _run(
        self,
        first: int,
        last: int,
        tokens: NDArray[np.int64],
        lengths: Sequence[int],
        adapters: Sequence[int],
    ) -> Logits:
        new = tokens.shape[1]
        self._past[first:last] = lengths
        self._past[first:last] += new - 1
        self._adapter[first:last] = adapters
        self._longest[...] = max(lengths) + new
        binding = self._binding(first, last)
        _bind(binding, "input_ids", tokens)
        if self._takes_positions:
            positions = np.array(lengths)[:, None] + np.arange(new)
            _bind(binding, "position_ids", positions)
        self._session.run_with_iobinding(binding)
        return self._logits[first:last, 0].astype(np.float32, copy=False)

    def _binding(self, first: int, last: int) -> Any:
        """What is bound for these rows, made once."""
        if (known := self._bindings.get((first, last))) is not None:
            return known
        binding = self._bindings[first, last] = self._session.io_binding()
        _bind(binding, graph.PAST_LENGTHS, self._past[first:last])
        _bind(binding, graph.ADAPTERS, self._adapter[first:last])
        _bind(binding, graph.LONGEST, self._longest)
        _bind(binding, "logits", self._logits[first:last], out=True)
        for name, part in self.cache.rows(first, last):
            _bind(binding, name, part)
            _bind(binding, name.replace("past_key_values", "present"), part, out=True)
        return binding


def _bind(binding: Any, name: str, array: NDArray[Any], *, out: bool = False) -> None:
    """Let the graph use the array where it lies; it must outlive the binding."""
    bind = binding.bind_output if out else binding.bind_input
    bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
