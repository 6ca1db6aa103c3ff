"""The engine's parts put together: model, rows, tokenizer, adapters and whose turn it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from olive_serve.cgroup import available_memory
from olive_serve.engine import GenerationRequest
from olive_serve.messages import Event, Failed
from olive_serve.tokenizer import FILE
from olive_serve.worker.grammar import Grammars
from olive_serve.worker.model import NO_ADAPTER, Model, ModelInfo
from olive_serve.worker.rows import Rows
from olive_serve.worker.scheduler import Scheduler

KV_SHARE: Final = 0.8
"""Of the memory left when the model is loaded; the rest is for activations and adapters."""
KEPT_ROWS: Final = 2
"""Rows for each request that may run: beginnings of prompts are kept in those that none has."""


class BatchEngine:
    """The exported model in ``folder``, ready to answer; an exception says why it does not load."""

    def __init__(self, folder: Path, *, threads: int, max_model_len: int, max_running: int) -> None:
        info = ModelInfo.read(folder)
        tokenizer = Tokenizer.from_file(str(folder / FILE))
        self._model = Model(folder, info, threads=threads)
        budget = int(available_memory() * KV_SHARE) // self._model.kv_shape.bytes_per_token
        if budget < 2:
            raise MemoryError("the memory limit leaves nothing for the key-value cache")
        self.max_model_len = min(info.context_length, max_model_len, budget)
        count = KEPT_ROWS * max_running
        self._model.reserve(rows=count, positions=self.max_model_len)
        self._model.prefill(0, [0], 0, NO_ADAPTER)
        self._rows = Rows(self._model.cache, count=count, budget=budget)
        self._scheduler = Scheduler(
            self._model,
            self._rows,
            tokenizer,
            Grammars(tokenizer, vocabulary=self._model.vocabulary, ends=info.ends),
            ends=info.ends,
            max_model_len=self.max_model_len,
            max_running=max_running,
        )
        self._adapters: dict[str, int] = {}
        self._unwanted: dict[str, int] = {}

    @property
    def busy(self) -> bool:
        """Is there anything to compute?"""
        return self._scheduler.busy

    @property
    def kv_cache_usage(self) -> float:
        """Share of the key-value cache that running requests have reserved."""
        return self._rows.usage

    def submit(self, id: int, request: GenerationRequest) -> Event:
        """Queue a request: Accepted, Refused, or Failed where its adapter is gone."""
        if request.adapter is None:
            return self._scheduler.submit(id, request, NO_ADAPTER)
        if (number := self._adapters.get(request.adapter)) is None:
            return Failed(id, "its adapter was taken away a moment ago")
        return self._scheduler.submit(id, request, number)

    def cancel(self, id: int) -> None:
        """Forget a request, wherever it is; nothing if it has ended."""
        self._scheduler.cancel(id)

    def turn(self, emit: Callable[[Event], None]) -> None:
        """A step of everything that is under way."""
        self._scheduler.turn(emit)
        for key, number in list(self._unwanted.items()):
            if not self._scheduler.uses(number):
                del self._unwanted[key]
                self._rows.forget_adapter(number)
                self._model.adapters.unload(number)

    def load_adapter(self, key: str, file: Path) -> None:
        """Offer an adapter, while others are used. Raises AdapterRefused."""
        if (number := self._unwanted.pop(key, None)) is not None:
            self._adapters[key] = number
        if key not in self._adapters:
            self._adapters[key] = self._model.adapters.load(file)

    def unload_adapter(self, key: str) -> None:
        """Take it from new requests now, and from memory when none uses it any more."""
        if (number := self._adapters.pop(key, None)) is not None:
            self._unwanted[key] = number
