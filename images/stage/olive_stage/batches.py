"""From texts to the batches of a training: tokens, packing, order. Pure, no torch.

An example is a list of rows' token ids: one row, or with packing several that share a sequence.
Which examples a step trains on depends on the seed alone, not on the micro-batch, the number of
processes or where the training was resumed.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from olive_contract.params import Lora
from olive_stage import rows, template
from olive_stage.work import invalid

Example = list[list[int]]
Encode = Callable[[list[str]], list[list[int]]]
"""Texts to token ids, without special tokens."""


@dataclass(frozen=True)
class Tokens:
    """Rows as token ids; how many were cut, and how many left out as too short."""

    rows: list[list[int]]
    cut: int
    short: int

    @property
    def count(self) -> int:
        """All tokens."""
        return sum(map(len, self.rows))


def tokenize(
    data: Sequence[rows.Row], form: template.Template, encode: Encode, limit: int
) -> Tokens:
    """Exactly the template's tokens, at most ``limit`` a row.

    No begin-of-text token is added, as none is when chats are served. A row of one token predicts
    nothing and is left out.
    """
    found = encode([form.render(row) for row in data]) if data else []
    kept = [ids[:limit] for ids in found if len(ids[:limit]) > 1]
    return Tokens(kept, sum(len(ids) > limit for ids in found), len(found) - len(kept))


def to_train_on(tokens: Tokens, lora: Lora) -> list[Example]:
    """The examples of a training; InvalidInput if there are none."""
    if not tokens.rows:
        raise invalid(
            "no row has two tokens once the template is filled in, so there is nothing to learn; "
            "name columns that hold text, and look at maxLength"
        )
    if lora.packing:
        return pack(tokens.rows, lora.maxLength, lora.seed)
    return [[ids] for ids in tokens.rows]


def pack(found: Sequence[list[int]], limit: int, seed: int) -> list[Example]:
    """Rows in shuffled order, joined while they fit into ``limit`` tokens."""
    shuffled = list(found)
    random.Random(f"pack {seed}").shuffle(shuffled)  # noqa: S311 - no secret
    packs: list[Example] = []
    room = 0
    for ids in shuffled:
        if len(ids) > room:
            packs.append([])
            room = limit
        packs[-1].append(ids)
        room -= len(ids)
    return packs


def in_order(examples: Sequence[Example], wanted: int, seed: int) -> list[Example]:
    """``wanted`` examples, all of them shuffled anew in every epoch."""
    order: list[Example] = []
    epoch = 0
    while len(order) < wanted:
        shuffled = list(examples)
        random.Random(f"epoch {epoch} {seed}").shuffle(shuffled)  # noqa: S311 - no secret
        order += shuffled
        epoch += 1
    return order[:wanted]


def predicted(examples: Sequence[Example]) -> int:
    """The tokens that a loss is measured on: all but the first of every row."""
    return sum(len(ids) - 1 for example in examples for ids in example)
