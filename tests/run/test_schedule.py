"""Which stages may start now, with what: a table."""

import pytest

from olive_cli.run.machine import Machine
from olive_cli.run.schedule import Granted, Wanted, grant

TWO_CORES = Machine(2)
SIXTEEN = Machine(16)
ONE_GPU = Machine(16, ("gpu-a",))
TWO_GPUS = Machine(16, ("gpu-a", "gpu-b"))


def cpu(name: str) -> Wanted:
    return Wanted(name, "export")


def gpu(name: str, count: int = 1) -> Wanted:
    return Wanted(name, "finetune", count)


def fetch(name: str) -> Wanted:
    return Wanted(name, "fetch")


CASES = {
    "alone: all cores": ([cpu("a")], [], TWO_CORES, {"a": ((), 2)}),
    "two at once: half of the cores each": (
        [cpu("a"), cpu("b")],
        [],
        TWO_CORES,
        {"a": ((), 1), "b": ((), 1)},
    ),
    "a third waits on a small machine": (
        [cpu("a"), cpu("b"), cpu("c")],
        [],
        TWO_CORES,
        {"a": ((), 1), "b": ((), 1)},
    ),
    "four cores each on a larger one": (
        [cpu(n) for n in "abcde"],
        [],
        SIXTEEN,
        dict.fromkeys("abcd", ((), 4)),
    ),
    "beside one that is at work: the share of two": (
        [cpu("b")],
        [Granted("a", "quantize", (), 16)],
        SIXTEEN,
        {"b": ((), 8)},
    ),
    "every turn is taken": (
        [cpu("c")],
        [Granted(n, "quantize", (), 1) for n in "ab"],
        TWO_CORES,
        {},
    ),
    "a publication needs none either": (
        [Wanted("p", "publish"), cpu("c")],
        [Granted(n, "quantize", (), 1) for n in "ab"],
        TWO_CORES,
        {"p": ((), 1)},
    ),
    "a fetch needs no turn": (
        [fetch("f"), cpu("c")],
        [Granted(n, "quantize", (), 1) for n in "ab"],
        TWO_CORES,
        {"f": ((), 1)},
    ),
    "a free GPU": ([gpu("g")], [], ONE_GPU, {"g": (("gpu-a",), 16)}),
    "the GPU is taken": ([gpu("h")], [Granted("g", "finetune", ("gpu-a",), 16)], ONE_GPU, {}),
    "the other GPU": (
        [gpu("h")],
        [Granted("g", "finetune", ("gpu-a",), 16)],
        TWO_GPUS,
        {"h": (("gpu-b",), 8)},
    ),
    "two GPUs for one": ([gpu("g", 2), gpu("h")], [], TWO_GPUS, {"g": (("gpu-a", "gpu-b"), 16)}),
    "who needs less goes before who must wait": (
        [gpu("g", 2), gpu("h")],
        [Granted("x", "finetune", ("gpu-a",), 16)],
        TWO_GPUS,
        {"h": (("gpu-b",), 8)},
    ),
    "a GPU stage needs no turn among the CPU stages": (
        [gpu("g")],
        [Granted(n, "export", (), 4) for n in "abcd"],
        ONE_GPU,
        {"g": (("gpu-a",), 3)},
    ),
    "nothing waits": ([], [], ONE_GPU, {}),
}


@pytest.mark.parametrize(("waiting", "running", "machine", "expected"), CASES.values(), ids=CASES)
def test_what_may_start(
    waiting: list[Wanted],
    running: list[Granted],
    machine: Machine,
    expected: dict[str, tuple[tuple[str, ...], int]],
) -> None:
    granted = grant(waiting, running, machine)
    assert {g.name: (g.gpus, g.threads) for g in granted} == expected
