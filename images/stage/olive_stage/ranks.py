"""What the processes of one training share. One process shares nothing, and needs no library."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process's number (from 0), how many there are, and the file by which they meet."""

    rank: int = 0
    count: int = 1
    meet: Path = Path()

    @property
    def first(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return self.rank == 0

    def join(self) -> None:
        """Wait for the others: called once, after the Trainer, which would take it for its own."""
        if self.count > 1:
            distributed.init_process_group(
                "nccl" if torch.cuda.is_available() else "gloo",
                init_method=f"file://{self.meet}",
                rank=self.rank,
                world_size=self.count,
                timeout=timedelta(minutes=10),
            )

    def share(self, whole: Sequence[T]) -> Sequence[T]:
        """This process's part; some get one more than others."""
        return whole[self.rank :: self.count]

    def add_up(self, tensors: Iterable[torch.Tensor]) -> None:
        """Sum each tensor over all processes, in place: one exchange, as each has its cost."""
        if self.count == 1:
            return
        all_of_them = list(tensors)
        flat = torch.cat([tensor.flatten() for tensor in all_of_them])
        distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in all_of_them])
        for tensor, part in zip(all_of_them, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def leave(self) -> None:
        """Part from the others, all of whom are done."""
        if self.count > 1:
            distributed.destroy_process_group()
