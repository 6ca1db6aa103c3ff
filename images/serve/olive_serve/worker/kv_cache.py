"""The key-value cache: for every layer one key and one value buffer, a row for each sequence.

A buffer's shape is (rows, heads, positions, head size). The graph reads and extends it in place
(GroupQueryAttention with ``past`` and ``present`` at one address), so a row never moves while it is
computed, and the rows of a batch lie side by side. Address space is reserved for every row at full
length; memory is taken page by page as a sequence grows, and given back by ``forget``.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_MAP_NORESERVE: Final = 0x4000
"""Linux's; Python has no name for it before 3.13. Address space alone is taken."""


@dataclass(frozen=True)
class KvShape:
    """What one position of one layer holds. ``names``: the graph's inputs, key and value each."""

    names: tuple[str, ...]
    heads: int
    head_size: int
    dtype: np.dtype[Any]

    @property
    def bytes_per_token(self) -> int:
        """Of all layers, keys and values."""
        return len(self.names) * self.heads * self.head_size * self.dtype.itemsize


class KvCache:
    """Buffers of ``rows`` sequences of at most ``positions`` tokens."""

    def __init__(self, shape: KvShape, *, rows: int, positions: int) -> None:
        self.shape = shape
        page = mmap.PAGESIZE // (shape.head_size * shape.dtype.itemsize) or 1
        self.positions = -(-positions // page) * page
        self._maps: list[mmap.mmap] = []
        self._buffers = {name: self._buffer(rows) for name in shape.names}

    def _buffer(self, rows: int) -> NDArray[Any]:
        size = (rows, self.shape.heads, self.positions, self.shape.head_size)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        memory = mmap.mmap(-1, int(np.prod(size)) * self.shape.dtype.itemsize, flags)
        self._maps.append(memory)
        return np.frombuffer(memory, self.shape.dtype).reshape(size)

    def rows(self, first: int, last: int) -> Iterator[tuple[str, NDArray[Any]]]:
        """The graph's inputs and the part of each buffer that holds rows ``first`` to ``last``."""
        return ((name, buffer[first:last]) for name, buffer in self._buffers.items())

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first ``tokens`` positions of a row to another row."""
        for buffer in self._buffers.values():
            buffer[target, :, :tokens] = buffer[source, :, :tokens]

    def exchange(self, one: int, other: int, tokens: int) -> None:
        """Exchange the first ``tokens`` positions of two rows."""
        for buffer in self._buffers.values():
            kept = buffer[one, :, :tokens].copy()
            buffer[one, :, :tokens] = buffer[other, :, :tokens]
            buffer[other, :, :tokens] = kept

    def forget(self, row: int, *, keep: int) -> None:
        """Give the memory of a row back, but for its first ``keep`` positions."""
        token = self.shape.head_size * self.shape.dtype.itemsize
        head = self.positions * token
        start = -(-keep * token // mmap.PAGESIZE) * mmap.PAGESIZE
        if start >= head:
            return
        for memory in self._maps:
            for index in range(self.shape.heads):
                at = (row * self.shape.heads + index) * head
                memory.madvise(mmap.MADV_DONTNEED, at + start, head - start)
