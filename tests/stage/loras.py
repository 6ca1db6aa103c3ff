"""LoRA parameters by a few words."""

from typing import Any

from olive_contract.params import Lora


def lora(**changes: Any) -> Lora:
    """A small LoRA, with changes."""
    usual = {"rank": 8, "alpha": 16, "maxSteps": 4, "batchSize": 2, "learningRate": 1e-3}
    return Lora(**{**usual, "maxLength": 32, "seed": 0, **changes})
