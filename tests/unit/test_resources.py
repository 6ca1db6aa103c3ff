"""Resources of a pod: the chart's defaults, and what a job says instead."""

from typing import Any

import pytest

from olive_operator.build.pod import merged

DEFAULTS: dict[str, dict[str, Any]] = {
    "requests": {"cpu": 2, "memory": "4Gi"},
    "limits": {"memory": "6Gi"},
}


@pytest.mark.parametrize(
    ("over", "found"),
    [
        pytest.param({}, DEFAULTS, id="nothing said"),
        pytest.param(
            {"requests": {"memory": "8Gi"}},
            {"requests": {"cpu": 2, "memory": "8Gi"}},
            id="a request above the default limit lifts that limit",
        ),
        pytest.param(
            {"limits": {"memory": "2Gi"}},
            {"requests": {"cpu": 2}, "limits": {"memory": "2Gi"}},
            id="a limit below the default request replaces that request",
        ),
        pytest.param(
            {"limits": {"nvidia.com/gpu": 1}},
            {
                "requests": {"cpu": 2, "memory": "4Gi"},
                "limits": {"memory": "6Gi", "nvidia.com/gpu": 1},
            },
            id="another resource is added",
        ),
    ],
)
def test_what_the_job_says_of_a_resource_counts(over: Any, found: Any) -> None:
    assert merged(DEFAULTS, over) == found
