"""What a run tells of itself: the longest chain of its stages."""

import pytest

from olive_cli.run.results import critical
from olive_contract.params import AdapterParams
from olive_operator.api.stage import Stage


def stage(name: str, *inputs: str, after: tuple[str, ...] = ()) -> Stage:
    return Stage(name, name, AdapterParams(), {i: i for i in inputs}, after=after)


DIAMOND = (stage("fetch"), stage("tune", "fetch"), stage("export", "fetch"))
CASES = {
    "one after the other": ((stage("a"), stage("b", "a")), {"a": 2.0, "b": 3.0}, 5.0),
    "the longer of two sides": (DIAMOND, {"fetch": 1.0, "tune": 5.0, "export": 2.0}, 6.0),
    "a check counts as what comes first": (
        (stage("check"), stage("tune", after=("check",))),
        {"check": 1.0, "tune": 5.0},
        6.0,
    ),
    "what was cached took nothing": (DIAMOND, {"tune": 5.0}, 5.0),
    "nothing at all": ((), {}, 0.0),
}


@pytest.mark.parametrize(("stages", "seconds", "expected"), CASES.values(), ids=CASES)
def test_critical_path(
    stages: tuple[Stage, ...], seconds: dict[str, float], expected: float
) -> None:
    assert critical(stages, seconds) == expected
