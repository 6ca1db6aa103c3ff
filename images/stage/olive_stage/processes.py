"""One process a GPU for the same work; they end together, with one result or one failure.

Each sees one GPU only. The first to fail decides how all end; those that only lost their
neighbour are not asked. SIGTERM is passed on, and all may finish what they are at.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import torch

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.failing import Cancelled, failure_of
from olive_stage.ranks import Ranks
from olive_stage.stop import Stop

J = TypeVar("J")
R = TypeVar("R")

VISIBLE = "CUDA_VISIBLE_DEVICES"

NEIGHBOURS_END_IN = 10.0
"""Seconds that the others get once one has failed; a process that waits for it waits in vain."""


@dataclass(frozen=True)
class Running:
    """One process, and what comes from it: ``("made", result)`` or ``("failed", …)``."""

    rank: int
    process: BaseProcess
    said: Connection


def processes() -> int:
    """As many as this stage was given GPUs; one without."""
    return torch.cuda.device_count() or 1


def own_device() -> torch.device:
    """Where this process computes: the first GPU that it sees."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def launch(work: Callable[[J, Ranks], R], job: J, count: int) -> list[R]:
    """``work(job, ranks)`` in ``count`` new processes; their results by rank.

    ``work`` is a module's function; ``job`` and the results can be pickled. Raises StageFailure,
    or Cancelled after SIGTERM.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        running: list[Running] = []
        try:
            with Stop(lambda: terminate(running)) as stop:
                for rank, gpu in enumerate(gpus(count)):
                    ours, theirs = context.Pipe(duplex=False)
                    ranks = Ranks(rank, count, Path(folder) / "meet")
                    process = context.Process(target=_run, args=(work, job, ranks, theirs))
                    with only(gpu):
                        process.start()
                    theirs.close()
                    running.append(Running(rank, process, ours))
                try:
                    made = gather(running)
                except StageFailure:
                    if stop.asked:  # those that were still beginning ended without a word
                        raise Cancelled from None
                    raise
            for one in running:
                one.process.join(NEIGHBOURS_END_IN)
            return made
        finally:
            for one in running:
                one.process.kill()
                one.process.join()


def gpus(count: int) -> list[str]:
    """The names of this stage's first GPUs."""
    given = os.environ.get(VISIBLE)
    return given.split(",")[:count] if given else [str(number) for number in range(count)]


@contextmanager
def only(gpu: str) -> Iterator[None]:
    """A process that is started inside sees this GPU alone, from its first import on."""
    usual = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = gpu
    try:
        yield
    finally:
        if usual is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = usual


def terminate(running: Sequence[Running]) -> None:
    for one in running:
        one.process.terminate()


def gather(running: Sequence[Running]) -> list[Any]:
    """All results, or the failure that came first."""
    made: dict[int, Any] = {}
    failed: list[StageFailure] = []
    waiting = {one.said: one for one in running}
    while waiting:
        ready = wait(list(waiting), NEIGHBOURS_END_IN if failed else None)
        if not ready:
            break
        for one in [one for one in waiting.values() if one.said in ready]:
            del waiting[one.said]
            try:
                kind, value = one.said.recv()
            except EOFError:
                failed.insert(0, _died(one, len(running)))
                continue
            if kind == "made":
                made[one.rank] = value
            else:
                failed.append(StageFailure(FailureClass(value[0]), value[1]))
    if failed:
        raise failed[0]
    return [made[one.rank] for one in running]


def _died(one: Running, count: int) -> StageFailure:
    one.process.join()
    code = one.process.exitcode or 0
    who = f"process {one.rank + 1} of {count}"
    if code == -signal.SIGKILL:
        return StageFailure(
            FailureClass.OUT_OF_MEMORY,
            f"{who} was killed, as the kernel does when memory runs out",
        )
    return StageFailure(FailureClass.STAGE_ERROR, f"{who} ended by itself, with code {code}")


def _run(work: Callable[[J, Ranks], R], job: J, ranks: Ranks, said: Connection) -> None:
    """The new process: its GPU, its neighbours, its work, and what came of it."""
    signal.signal(signal.SIGTERM, _cancel)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        if not ranks.first:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
        if not torch.cuda.is_available():
            torch.set_num_threads(max(1, torch.get_num_threads() // ranks.count))
        said.send(("made", work(job, ranks)))
        ranks.leave()
    except (Exception, Cancelled) as error:
        failure = failure_of(error, root=Path(tempfile.gettempdir()))
        if not isinstance(error, StageFailure | Cancelled):
            traceback.print_exc()
        said.send(("failed", (failure.failure.value, str(failure))))
    said.close()


def _end_with_parent() -> None:
    """A parent that was killed cannot end its children; they would hold the GPUs."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _cancel(signum: int, frame: FrameType | None) -> None:
    raise Cancelled
