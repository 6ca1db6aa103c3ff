"""onnxruntime-genai: one model, its tokenizer, its adapters and its generators.

Source of the behaviours relied on: onnxruntime-genai 0.18. A Generator takes one set of adapters,
before its first token; ``append_tokens`` may be called in pieces and gives the same result; the
key-value cache is allocated and touched for ``max_length`` when the Generator is made; an adapter
of another base loads, and fails at its first use with "Invalid input name".
"""

import json
from pathlib import Path
from typing import Any, Final

import onnxruntime_genai as og

from olive_serve.cgroup import memory_limit
from olive_serve.engine import AdapterRefused, GenerationRequest

PREFILL_CHUNK: Final = 64
"""Tokens of a prompt read in one step: the longest that another request's next token waits."""

KV_SHARE: Final = 0.8
"""Of the memory left when the model is loaded; the rest is for activations and adapters."""


class GenaiModel:
    """The exported model in ``folder``, on ``threads`` threads. Raises RuntimeError if it fails.

    ``kv_budget`` is the room for key-value caches, in tokens.
    """

    def __init__(self, folder: Path, *, threads: int, max_model_len: int) -> None:
        settings = json.loads((folder / "genai_config.json").read_text())["model"]
        config = og.Config(str(folder))
        session = {"session_options": {"intra_op_num_threads": threads}}
        config.overlay(json.dumps({"model": {"decoder": session}}))
        self._model = og.Model(config)
        self._tokenizer = og.Tokenizer(self._model)
        self._adapters = og.Adapters(self._model)
        self._ends = frozenset(int(t) for t in self._tokenizer.eos_token_ids)
        self._bos = int(self._tokenizer.bos_token_id)
        self.kv_budget = _available_memory() // _kv_bytes_per_token(settings["decoder"])
        if self.kv_budget < 2:
            raise RuntimeError("the memory limit leaves nothing for the key-value cache")
        self.max_model_len = min(settings["context_length"], max_model_len, self.kv_budget)
        if (why := self._compute_one_token(None)) is not None:
            raise RuntimeError(why)

    def load_adapter(self, key: str, file: Path) -> None:
        """Load an adapter and compute a token with it: only use shows whether it fits."""
        try:
            self._adapters.load(str(file), key)
        except RuntimeError as error:
            raise AdapterRefused(f"{file.name} does not load: {error}") from error
        if (why := self._compute_one_token(key)) is not None:
            self._adapters.unload(key)
            raise AdapterRefused(f"the adapter does not fit this model: {why}")

    def unload_adapter(self, key: str) -> None:
        """Free an adapter that no sequence uses."""
        self._adapters.unload(key)

    def encode(self, request: GenerationRequest) -> list[int]:
        """The prompt's tokens; a template that writes the first token itself does not get two."""
        tokens = [int(t) for t in self._tokenizer.encode(request.prompt)]
        if request.templated and tokens[:2] == [self._bos, self._bos]:
            return tokens[1:]
        return tokens

    def sequence(self, tokens: list[int], limit: int, request: GenerationRequest) -> "Sequence":
        """A sequence ready to read its prompt."""
        search: dict[str, Any] = {"max_length": len(tokens) + limit, "do_sample": False}
        if request.temperature > 0:
            # genai's own default cuts to the 50 likeliest tokens; the API knows no such cut
            search |= {"do_sample": True, "top_k": 0, "top_p": request.top_p}
            search |= {"temperature": request.temperature}
            search |= {"random_seed": -1 if request.seed is None else request.seed % 2**31}
        return Sequence(
            self._generator(search, request.adapter), tokens, self._stream(), self._ends
        )

    def _stream(self) -> Any:
        return self._tokenizer.create_stream()

    def _generator(self, search: dict[str, Any], adapter: str | None) -> Any:
        params = og.GeneratorParams(self._model)
        params.set_search_options(**search)
        generator = og.Generator(self._model, params)
        if adapter is not None:
            generator.set_active_adapter(self._adapters, adapter)
        return generator

    def _compute_one_token(self, adapter: str | None) -> str | None:
        """Why it fails, if it does: as text, for an exception would keep the Generator alive."""
        try:
            generator = self._generator({"max_length": 2, "do_sample": False}, adapter)
            generator.append_tokens([0])
            generator.generate_next_token()
        except RuntimeError as error:
            return str(error)
        return None


class Sequence:
    """One Generator and what is left of its prompt."""

    def __init__(
        self, generator: Any, prompt: list[int], stream: Any, ends: frozenset[int]
    ) -> None:
        self._generator = generator
        self._left = prompt
        self._stream = stream
        self._ends = ends

    def prefill(self) -> bool:
        chunk, self._left = self._left[:PREFILL_CHUNK], self._left[PREFILL_CHUNK:]
        self._generator.append_tokens(chunk)
        return not self._left

    def step(self) -> tuple[str, bool]:
        self._generator.generate_next_token()
        token = int(self._generator.get_next_tokens()[0])
        if token in self._ends:
            return "", True
        return self._stream.decode(token), False


def _kv_bytes_per_token(decoder: dict[str, Any]) -> int:
    """Key and value of every layer, counted as float32: the widest that an export for CPU has."""
    heads: int = decoder["num_key_value_heads"] * decoder["num_hidden_layers"]
    return 2 * 4 * heads * int(decoder["head_size"])


def _available_memory() -> int:
    """Bytes for key-value caches: a share of what the container, or the machine, has left."""
    if (limit := memory_limit()) is not None:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
        return int(max(limit - resident, 0) * KV_SHARE)
    available = Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]
    return int(int(available) * 1024 * KV_SHARE)
