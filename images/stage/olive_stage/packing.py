"""Whether rows that share a sequence are kept apart by the model, tried rather than believed.

Transformers' own models build a mask from positions that begin again at 0; a model that brings its
own code may not, and the rows would read each other.
"""

from collections.abc import Sequence

import torch

from olive_stage.collate import collate
from olive_stage.lora_trainer import logits_of
from olive_stage.work import invalid

TRIED = 8
"""Tokens of a row that are enough to see it."""


def check_packing(model: torch.nn.Module, rows: Sequence[list[int]]) -> None:
    """InvalidInput if what the model says of a row depends on the row packed before it."""
    row = rows[0][:TRIED]
    before = [row, row[::-1]] if row != row[::-1] else [row, [row[0] + 1] * len(row)]
    model.eval()
    said = []
    for other in before:
        inputs, _ = collate([[other, row]], 0, model.device)
        with torch.no_grad():
            said.append(logits_of(model, inputs)[0, len(other) :])
    if not torch.allclose(said[0], said[1], rtol=1e-3, atol=1e-3):
        raise invalid(
            "this model does not keep packed rows apart: what it says of a row depends on the row "
            "before it; set lora.packing to false"
        )
