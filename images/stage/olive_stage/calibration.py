"""Calibration data: tokenized rows, as batches for llm-compressor and as a data set for Olive.

Olive's own loaders go through a cache that knows files by path only; a data set component that is
registered with Olive and closes over the tokens has no cache to be wrong.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from olive.data.registry import Registry

from olive_contract.params import Calibration
from olive_stage import rows, template

LOADER = "olive_stage_calibration"
KEEP = "olive_stage_keep"

Tokens = list[int]


def tokenized(calibration: Calibration, data: Path, tokenizer: Any) -> list[Tokens]:
    """The token ids of the first rows of ``data``, cut to ``maxLength``."""
    form = template.parse(calibration.template)
    texts = [form.render(row) for row in rows.read_rows(data, form)[: calibration.samples]]
    found = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    return [ids[: calibration.maxLength] for ids in found if ids]


def batches(found: Sequence[Tokens], tokens: int) -> list[dict[str, torch.Tensor]]:
    """Rows of like length together, one or at most ``tokens`` with padding in a batch.

    Padding is on the right, where no row's own tokens see it, and ``loss_mask`` keeps it out of the
    statistics; without any padding there is no mask.
    """
    ordered = sorted(found, key=len, reverse=True)
    groups: list[list[Tokens]] = []
    for ids in ordered:
        if not groups or (len(groups[-1]) + 1) * len(groups[-1][0]) > tokens:
            groups.append([])
        groups[-1].append(ids)
    padded = any(len(group[0]) != len(group[-1]) for group in groups)
    return [_batch(group, padded) for group in groups]


def _batch(group: list[Tokens], padded: bool) -> dict[str, torch.Tensor]:
    width = len(group[0])
    ids = torch.tensor([ids + [0] * (width - len(ids)) for ids in group])
    if not padded:
        return {"input_ids": ids}
    mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in group])
    return {"input_ids": ids, "loss_mask": mask}


def data_config(found: Sequence[Tokens]) -> dict[str, Any]:
    """An Olive data configuration that yields these rows, one a batch, as (inputs, labels)."""
    tensors = [torch.tensor([ids]) for ids in found]
    samples = [({"input_ids": t, "attention_mask": torch.ones_like(t)}, t) for t in tensors]
    Registry.register_dataset(LOADER)(lambda: samples)
    Registry.register_pre_process(KEEP)(lambda dataset: dataset)
    Registry.register_dataloader(KEEP)(lambda dataset: dataset)
    return {
        "name": "calibration",
        "load_dataset_config": {"type": LOADER},
        "pre_process_data_config": {"type": KEEP},
        "dataloader_config": {"type": KEEP},
    }
