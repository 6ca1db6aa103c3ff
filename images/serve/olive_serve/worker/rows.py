"""Which sequence has which row of the key-value cache, and what rows of no sequence still hold.

Sequences that are being answered have the rows 0, 1, …, side by side, as a batch needs them;
prompts that are being read have any others. A row that is given back keeps its tokens until the
room is needed, so that a prompt that begins like an earlier one, with the same adapter, is read
from where they differ.
"""

from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

WORTH_COPYING: Final = 16
"""Tokens; fewer are sooner computed than copied."""
WORTH_KEEPING: Final = 0.25
"""Of what two prompts share: a rest that is shorter is given up, and its row taken as it is. To
read it again costs less than to copy what is shared."""
_NOBODYS: Final = -2
"""The adapter of a row that holds nothing."""


class Cache(Protocol):
    """What moves, as ``kv_cache.KvCache`` does."""

    def copy(self, source: int, target: int, tokens: int) -> None: ...

    def exchange(self, one: int, other: int, tokens: int) -> None: ...

    def forget(self, row: int, *, keep: int) -> None: ...


@dataclass(eq=False)
class Row:
    """A row's tokens, as far as they are computed, with the adapter that they were computed with.

    ``reserved``: the length that its sequence may grow to; 0 for a row of no sequence.
    """

    index: int
    adapter: int = _NOBODYS
    tokens: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    length: int = 0
    reserved: int = 0
    used: int = 0

    @property
    def held(self) -> int:
        """Tokens of memory that it has, or may come to have."""
        return max(self.reserved, self.length)

    def shared(self, prompt: NDArray[np.int64], adapter: int) -> int:
        """How many tokens of the prompt it holds from its beginning."""
        if self.adapter != adapter:
            return 0
        most = min(self.length, len(prompt))
        differ = np.flatnonzero(self.tokens[:most] != prompt[:most])
        return int(differ[0]) if len(differ) else most

    def extend(self, tokens: Tokens[int] | NDArray[np.int64]) -> None:
        """These are computed now."""
        end = self.length + len(tokens)
        self.tokens[self.length : end] = tokens
        self.length = end


class Rows:
    """``count`` rows of ``cache``, for at most ``budget`` tokens together."""

    def __init__(self, cache: Cache, *, count: int, budget: int) -> None:
        self._cache = cache
        self._rows = [Row(index) for index in range(count)]
        self._budget = budget
        self._clock = 0
        self.answering = 0

    @property
    def budget(self) -> int:
        """Most tokens of all rows together."""
        return self._budget

    @property
    def usage(self) -> float:
        """Share of the budget that sequences have reserved."""
        return sum(row.reserved for row in self._rows) / self._budget

    def fits(self, lengths: Tokens[int]) -> bool:
        """Is there a row, and room, for new sequences of these lengths?"""
        idle = sum(row.reserved == 0 for row in self._rows)
        taken = sum(row.reserved for row in self._rows)
        return len(lengths) <= idle and taken + sum(lengths) <= self._budget

    def take(self, prompt: Tokens[int], adapter: int, reserved: int) -> Row:
        """A row for a sequence that will have at most ``reserved`` tokens.

        Its ``length`` says how much of the prompt it holds already; never all of it, for the last
        token has to be computed.
        """
        wanted = np.asarray(prompt[:-1], np.int64)
        best = max(self._rows, key=lambda row: (row.shared(wanted, adapter), row.reserved == 0))
        shared = best.shared(wanted, adapter)
        rest = best.length - shared
        if best.reserved == 0 and rest <= WORTH_KEEPING * shared:
            row = best  # it goes on from where that one ended, or nearly
        else:
            idle = [row for row in self._rows if row.reserved == 0 and row is not best]
            row = min(idle, key=lambda row: (row.used, row.index), default=best)
            if row is not best:
                shared = shared if shared >= WORTH_COPYING else 0
                if shared:
                    self._cache.copy(best.index, row.index, shared)
        self._begin(row, wanted[:shared], adapter, reserved)
        self._make_room(row)
        return row

    def fill(self, row: Row, source: Row) -> None:
        """Give a row that was taken for the same prompt what the other has computed of it."""
        self._cache.copy(source.index, row.index, source.length)
        row.length = 0
        row.extend(source.tokens[: source.length])

    def answer(self, row: Row) -> None:
        """The row's prompt is read: it takes its place in the batch."""
        self._exchange(row.index, self.answering)
        self.answering += 1

    def give_back(self, row: Row) -> None:
        """The sequence has ended; its tokens stay as long as there is room."""
        if row.index < self.answering:
            self.answering -= 1
            self._exchange(row.index, self.answering)
        row.reserved = 0
        self._cache.forget(row.index, keep=row.length)
        self._touch(row)

    def forget_adapter(self, adapter: int) -> None:
        """Nothing that was computed with this adapter is of use any more."""
        for row in self._rows:
            if row.adapter == adapter and row.reserved == 0:
                self._drop(row)

    def _begin(self, row: Row, held: NDArray[np.int64], adapter: int, reserved: int) -> None:
        tokens = np.zeros(reserved, np.int64)
        tokens[: len(held)] = held
        row.adapter, row.tokens, row.length, row.reserved = adapter, tokens, len(held), reserved
        self._touch(row)

    def _make_room(self, new: Row) -> None:
        """Drop what is kept of ended sequences, the oldest first, until the budget holds."""
        kept = sorted((r for r in self._rows if r.reserved == 0 and r.length), key=lambda r: r.used)
        held = sum(row.held for row in self._rows)
        for row in kept:
            if held <= self._budget:
                return
            held -= row.length
            self._drop(row)

    def _drop(self, row: Row) -> None:
        row.length, row.adapter, row.used = 0, _NOBODYS, 0
        self._cache.forget(row.index, keep=0)

    def _exchange(self, one: int, other: int) -> None:
        if one == other:
            return
        rows = self._rows
        self._cache.exchange(one, other, max(rows[one].length, rows[other].length))
        rows[one], rows[other] = rows[other], rows[one]
        rows[one].index, rows[other].index = one, other

    def _touch(self, row: Row) -> None:
        self._clock += 1
        row.used = self._clock
