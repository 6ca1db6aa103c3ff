"""Calibration data for Olive's Gptq, straight from tokenized rows.

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
from olive_stage.checkpoint import load_tokenizer

LOADER = "olive_stage_calibration"
KEEP = "olive_stage_keep"

Sample = tuple[dict[str, torch.Tensor], torch.Tensor]


def samples(calibration: Calibration, data: Path, model: Path) -> list[Sample]:
    """The first rows of ``data`` as (inputs, labels), each input of shape (1, tokens)."""
    form = template.parse(calibration.template)
    tokenizer = load_tokenizer(model)
    found = []
    for row in rows.read_rows(data, form)[: calibration.samples]:
        ids = tokenizer(form.render(row), add_special_tokens=False)["input_ids"]
        tokens = torch.tensor([ids[: calibration.maxLength]])
        found.append(({"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}, tokens))
    return found


def data_config(found: Sequence[Sample]) -> dict[str, Any]:
    """An Olive data configuration that yields these samples, one a batch."""
    Registry.register_dataset(LOADER)(lambda: found)
    Registry.register_pre_process(KEEP)(lambda dataset: dataset)
    Registry.register_dataloader(KEEP)(lambda dataset: dataset)
    return {
        "name": "calibration",
        "load_dataset_config": {"type": LOADER},
        "pre_process_data_config": {"type": KEEP},
        "dataloader_config": {"type": KEEP},
    }
