"""Which of the attempts that wait may start now, on which GPUs, with how many threads: pure.

A GPU belongs to one stage at a time. CPU stages share the cores: a few at once, as loading a model
and importing libraries keep only one core busy and another stage can use the rest meanwhile, but
not many, as each holds a model in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from olive_cli.run.machine import Machine

LIGHT = frozenset({"fetch", "adapter", "publish"})
"""Kinds that wait for a network or a disk, or take a second: they never wait for a turn."""


@dataclass(frozen=True)
class Wanted:
    """An attempt that is due; ``gpus`` is how many it asks for."""

    name: str
    kind: str
    gpus: int = 0


@dataclass(frozen=True)
class Granted:
    """What an attempt runs with: GPUs by their names, and ``threads`` to compute with."""

    name: str
    kind: str
    gpus: tuple[str, ...] = ()
    threads: int = 1


def grant(
    waiting: Sequence[Wanted], running: Sequence[Granted], machine: Machine
) -> tuple[Granted, ...]:
    """Those of ``waiting``, in their order, that may start beside ``running``.

    The threads are an equal share of the cores among the stages that compute then. One that is at
    work keeps what it was given, as a process cannot change it: for a while there may be more
    threads than cores, which waiting without spinning (OMP_WAIT_POLICY) makes harmless.
    """
    taken = {gpu for one in running for gpu in one.gpus}
    free = [gpu for gpu in machine.gpus if gpu not in taken]
    turns = max(2, machine.cores // 4) - sum(_takes_turn(r.kind, len(r.gpus)) for r in running)
    chosen: list[Granted] = []
    for one in waiting:
        if one.gpus > len(free):
            continue
        if _takes_turn(one.kind, one.gpus):
            if turns <= 0:
                continue
            turns -= 1
        gpus, free = tuple(free[: one.gpus]), free[one.gpus :]
        chosen.append(Granted(one.name, one.kind, gpus))
    computing = sum(one.kind not in LIGHT for one in (*running, *chosen))
    share = max(1, machine.cores // max(1, computing))
    return tuple(
        one if one.kind in LIGHT else Granted(one.name, one.kind, one.gpus, share) for one in chosen
    )


def _takes_turn(kind: str, gpus: int) -> bool:
    """Stages with a GPU wait for that alone."""
    return kind not in LIGHT and not gpus
