"""What a run tells of itself: the longest chain of its stages, and where its versions are."""

import pytest

from olive_cli.run.results import critical, outcome, summary
from olive_contract.params import AdapterParams
from olive_contract.stage import Published
from olive_operator.api.stage import Stage
from olive_operator.api.status import StageStatus, State, Status


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


PUBLISHED = Status(
    progress="2/2",
    stages=(
        StageStatus(
            "publish/azureML",
            State.SUCCEEDED,
            published=Published(
                "azureml://registries/r/models/m/versions/3", "https://ml.azure.com/m"
            ),
        ),
        StageStatus(
            "publish/oci", State.SUCCEEDED, cached=True, published=Published("a.example/b@sha256:0")
        ),
    ),
)


def test_the_last_word_says_where_each_version_is() -> None:
    assert outcome(PUBLISHED, {}, 5).splitlines() == [
        "done in 5 s: 2/2 stages, 1 of them cached",
        "publish/azureML: azureml://registries/r/models/m/versions/3 (https://ml.azure.com/m)",
        "publish/oci: a.example/b@sha256:0",
    ]


def test_programs_are_told_where_each_version_is() -> None:
    azure, oci = summary(PUBLISHED, (), {})["stages"]
    assert azure["published"]["url"] == "https://ml.azure.com/m"
    assert oci["published"]["reference"] == "a.example/b@sha256:0"
