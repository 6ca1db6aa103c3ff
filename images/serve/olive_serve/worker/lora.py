"""The adapters that the graph's LoraAdd operators know, in memory of the native library.

The library has one table for the whole process: an engine has one model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort

from olive_serve.engine import AdapterRefused
from olive_serve.worker import native
from olive_serve.worker.graph import LoraSite

CAPACITY: Final = 256
"""Adapters at a time; a table of pointers is reserved for so many."""


class LoraBank:
    """Adapters by the numbers that the graph's input ``adapters`` names."""

    def __init__(self, sites: Sequence[LoraSite]) -> None:
        self._sites = tuple(sites)
        self._native = native.load()
        if self._native.lora_table(CAPACITY, len(self._sites)):
            raise MemoryError("no memory for a table of adapters")
        self._free = list(range(CAPACITY))

    def load(self, file: Path) -> int:
        """Take in the adapter of this file; its number. Raises AdapterRefused."""
        try:
            weights = ort.AdapterFormat.read_adapter(str(file)).get_parameters()
        except RuntimeError as error:
            raise AdapterRefused(f"{file.name} does not load: {error}") from error
        self._check(weights)
        if not self._free:
            raise AdapterRefused(f"{CAPACITY} adapters are loaded already")
        number = self._free.pop(0)
        try:
            for index, site in enumerate(self._sites):
                if site.a in weights:
                    self._put(number, index, weights[site.a].numpy(), weights[site.b].numpy())
        except MemoryError as error:
            self.unload(number)
            raise AdapterRefused(f"no memory for {file.name}") from error
        return number

    def unload(self, number: int) -> None:
        """Free an adapter that no row names any more."""
        self._native.lora_drop(number)
        self._free.append(number)

    def _check(self, weights: Mapping[str, Any]) -> None:
        known = {name for site in self._sites for name in (site.a, site.b)}
        if strange := sorted(set(weights) - known):
            raise AdapterRefused(f"the adapter does not fit this model: it has no {strange[0]}")
        for site in self._sites:
            if (site.a in weights) != (site.b in weights):
                raise AdapterRefused(f"the adapter has only one of {site.a} and {site.b}")
            if site.a not in weights:
                continue
            a, b = weights[site.a].shape(), weights[site.b].shape()
            if len(a) != 2 or len(b) != 2 or a[0] != site.inputs or b[1] != site.outputs:
                fits = f"({site.inputs}, rank) and (rank, {site.outputs})"
                raise AdapterRefused(
                    f"the adapter does not fit this model: {site.a} {a} and B {b} are not {fits}"
                )
            if a[1] != b[0]:
                raise AdapterRefused(f"the ranks of {site.a} {a} and {site.b} {b} differ")

    def _put(self, number: int, site: int, a: Any, b: Any) -> None:
        a, b = (np.ascontiguousarray(each, np.float32) for each in (a, b))
        if self._native.lora_put(number, site, a, b, a.shape[0], b.shape[1], a.shape[1]):
            raise MemoryError
