"""The projections of a base that take a LoRA, and the names of their graph inputs.

Export writes them into its ``artifact.json``; adapters are converted by them alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Site:
    """A projection: its name in the graph (``model.layers.0.attn.q_proj``), and its widths.

    ``element`` is the numpy name of its LoRA inputs' type, in which the graph computes.
    """

    name: str
    inputs: int
    outputs: int
    element: str = "float32"

    def about(self) -> dict[str, object]:
        """As ``artifact.json`` holds it."""
        return {
            "name": self.name,
            "in": self.inputs,
            "out": self.outputs,
            "element": self.element,
        }


def sites_of(about: Mapping[str, Any]) -> list[Site]:
    """The projections that an export's ``artifact.json`` tells of."""
    return [Site(s["name"], s["in"], s["out"], s["element"]) for s in about["lora"]]


def inputs_of(site: str) -> tuple[str, str]:
    """The graph inputs A (in, rank) and B (rank, out), by onnxruntime-genai's names."""
    return f"{site}.lora_A.MatMul.weight", f"{site}.lora_B.MatMul.weight"
