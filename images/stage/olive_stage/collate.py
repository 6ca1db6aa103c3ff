"""Examples as the tensors that a model is given, and what it must predict."""

from collections.abc import Sequence
from typing import Any

import torch

from olive_stage.batches import Example

IGNORED = -100
"""The target that the loss leaves out."""


def collate(
    examples: Sequence[Example], pad: int, device: torch.device
) -> tuple[dict[str, Any], torch.Tensor]:
    """Inputs and targets of shape (examples, tokens), padded on the right to the longest.

    Target i is token i + 1 of the same row, so no loss crosses a row's border. Padding on the right
    is never seen by a causal model, so no mask is needed, and the fastest attention can be used.
    Rows that share a sequence are told apart by positions that begin again at 0: Transformers
    builds the mask from them, if it is asked for no cache.
    """
    longest = max(sum(map(len, example)) for example in examples)
    ids, positions, targets = [], [], []
    for example in examples:
        padding = longest - sum(map(len, example))
        ids.append([i for row in example for i in row] + [pad] * padding)
        targets.append([t for row in example for t in [*row[1:], IGNORED]] + [IGNORED] * padding)
        positions.append([n for row in example for n in range(len(row))] + list(range(padding)))
    inputs = {"input_ids": torch.tensor(ids, device=device), "use_cache": False}
    if any(len(example) > 1 for example in examples):
        inputs["position_ids"] = torch.tensor(positions, device=device)
    return inputs, torch.tensor(targets, device=device)
