"""How a step is made to fit into the GPU's memory: how many rows at once, what is recomputed.

Nothing is estimated: a step that runs out of memory is done again with less, first by recomputing
activations (unless the manifest decides that), then with half the rows at a time. The gradient is
that of the whole batch all the same.
"""

from dataclasses import dataclass


@dataclass
class Fit:
    """``rows`` of a process's share go at once; ``recompute`` activations; ``free`` to turn it on.

    ``micro`` is ``rows`` until memory runs out. ``halved``: how often it did in earlier attempts.
    """

    rows: int
    recompute: bool
    free: bool
    halved: int = 0

    def __post_init__(self) -> None:
        self.recompute = self.recompute or (self.free and self.halved > 0)
        self.micro = -(-self.rows // (1 << self.halved))

    @property
    def accumulation(self) -> int:
        """Micro-batches a step."""
        return -(-self.rows // self.micro)

    @property
    def note(self) -> str:
        """For the progress line; empty while the batch is whole."""
        return f", {self.micro} of {self.rows} rows at a time" if self.micro < self.rows else ""

    def less(self) -> str:
        """Take the next step down; what it is, or an empty text if there is none."""
        if self.free and not self.recompute:
            self.recompute = True
            return "activations are recomputed from now on"
        if self.micro > 1:
            self.micro = -(-self.micro // 2)
            return (
                f"from now on {self.micro} of {self.rows} rows at a time, "
                f"{self.accumulation} times a step"
            )
        return ""
