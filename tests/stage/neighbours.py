"""What the processes of a test run: importable, as a new process must import it."""

import os
import pickle
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.failing import Cancelled
from olive_stage.finetune import Job, train_one
from olive_stage.processes import launch
from olive_stage.ranks import Ranks


@dataclass(frozen=True)
class Order:
    """What the second process is to do (a key of DEEDS), and where each writes its number."""

    deed: str
    folder: Path


def obey(order: Order, ranks: Ranks) -> tuple[list[float], list[int]]:
    """Deed, sum and share; a first process that waits for a second in vain waits as a step does."""
    (order.folder / str(ranks.rank)).write_text(str(os.getpid()))
    ranks.join()
    if ranks.rank == 1:
        DEEDS[order.deed]()
    found = torch.tensor([1.0, ranks.rank])
    ranks.add_up([found])
    return found.tolist(), list(ranks.share(range(5)))


def run_out_of_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def refuse() -> None:
    raise StageFailure(FailureClass.INVALID_INPUT, "this cannot be done")


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    os._exit(7)


DEEDS: dict[str, Callable[[], None]] = {
    "work": lambda: None,
    "run out of memory": run_out_of_memory,
    "refuse": refuse,
    "be killed": be_killed,
    "leave": leave,
}


if __name__ == "__main__":
    # a training in two processes, of the job that was left in a file
    job: Job = pickle.loads(Path(sys.argv[1]).read_bytes())  # noqa: S301 - the test's own
    try:
        launch(train_one, job, 2)
    except Cancelled:
        print("cancelled", flush=True)
        sys.exit(1)
