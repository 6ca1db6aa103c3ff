"""The status as it is written, and as it is read again: the operator's memory loses nothing."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olive_contract.stage import Published
from olive_operator.api.status import ServingStatus, StageStatus, State, Status

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
STAGES = st.builds(
    StageStatus,
    name=st.text(),
    state=st.sampled_from(State),
    seconds=NUMBERS,
    loss=st.none() | NUMBERS,
    metrics=st.dictionaries(st.sampled_from(["perplexity", "seconds", "sizeBytes"]), NUMBERS),
    published=st.none() | st.builds(Published, reference=st.text(), url=st.text()),
)


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(status=st.builds(Status, stages=st.lists(STAGES, max_size=3).map(tuple)))
def test_status_that_was_written_is_read_as_it_was(status: Status) -> None:
    assert Status.from_body(json.loads(json.dumps(status.to_body()))) == status


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (Status(), {"observedGeneration": 0, "gpuSeconds": 0}),
        (
            Status(1, stages=(StageStatus("quantize", State.RUNNING, percent=0),)),
            {
                "observedGeneration": 1,
                "gpuSeconds": 0,
                "stages": [{"name": "quantize", "state": "Running", "percent": 0}],
            },
        ),
        (
            Status(1, serving=ServingStatus("http://x")),
            {
                "observedGeneration": 1,
                "gpuSeconds": 0,
                "serving": {"url": "http://x", "replicas": 0, "readyReplicas": 0},
            },
        ),
    ],
    ids=["nothing is done", "a stage has begun", "nothing serves yet"],
)
def test_what_people_read_of_it(status: Status, told: dict[str, Any]) -> None:
    assert status.to_body() == told
