"""What goes with a serving, by real server-side apply: who says how many pods, and what goes."""

from typing import Any

from builders import spec
from kubernetes import client

from .operators import Jobs, Operator
from .standin_node import StandInNode, eventually

SCALED = {"autoscaling": {"minReplicas": 2, "maxReplicas": 9}}


def base(**serve: Any) -> dict[str, Any]:
    """A job that serves its base like this."""
    return spec(adapters=[], evaluate=None, serve=serve)


class Serving:
    """Of the job "travel", as the API server has it."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._apps = jobs, jobs.apps
        self._scaling = client.AutoscalingV2Api(jobs.apps.api_client)
        self._where = ("travel-serving", jobs.namespace)

    @property
    def replicas(self) -> int:
        found = self._apps.read_namespaced_deployment(*self._where)
        return int(found.spec.replicas)

    @property
    def owners(self) -> set[str]:
        """Who has a say in the number of replicas."""
        found = self._apps.read_namespaced_deployment(*self._where)
        return {
            entry.manager
            for entry in found.metadata.managed_fields
            if "f:replicas" in (entry.fields_v1 or {}).get("f:spec", {})
        }

    def scale(self, replicas: int) -> None:
        """As an autoscaler does it."""
        body = {"spec": {"replicas": replicas}}
        self._apps.patch_namespaced_deployment_scale(*self._where, body, field_manager="autoscaler")

    def edit(self, **serve: Any) -> None:
        """Edit the job, and wait until the operator has followed."""
        self._jobs.edit("travel", base(**serve))

        def followed() -> bool:
            found = self._jobs.get("travel")
            told = found["status"].get("observedGeneration", 0)
            return bool(told >= found["metadata"]["generation"])

        eventually("the edit followed", followed)

    def autoscaled(self) -> bool:
        found = self._scaling.list_namespaced_horizontal_pod_autoscaler(self._where[1]).items
        return [item.metadata.name for item in found] == ["travel-serving"]


def begun(jobs: Jobs, **serve: Any) -> Serving:
    """The job, with everything done but its serving, whose pods nobody runs."""
    jobs.create("travel", base(**serve))

    def there() -> bool:
        return bool(jobs.apps.list_namespaced_deployment(jobs.namespace).items)

    eventually("a serving", there, seconds=60)
    return Serving(jobs)


def test_an_autoscaler_takes_over_and_gives_back_and_no_pod_is_taken_away(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    serving = begun(jobs, replicas=3)
    assert (serving.replicas, serving.owners) == (3, {"olive-operator"})
    serving.edit(**SCALED)
    eventually("an autoscaler", serving.autoscaled)
    assert serving.replicas == 3
    serving.scale(5)
    eventually("the number left to it", lambda: serving.owners == {"autoscaler"})
    serving.edit(**SCALED, page=False)
    eventually("no page", lambda: "--no-page" in _arguments(jobs))
    assert serving.replicas == 5
    serving.edit(replicas=4)
    eventually("the number taken back", lambda: serving.replicas == 4)
    eventually("no autoscaler", lambda: not serving.autoscaled())
    serving.scale(6)
    eventually("the number held", lambda: serving.replicas == 4)
    assert "Traceback" not in operator.log


def test_a_number_that_nobody_gives_is_left_to_others(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    serving = begun(jobs)
    assert (serving.replicas, serving.owners) == (1, set())
    serving.scale(4)
    serving.edit(page=False)
    eventually("no page", lambda: "--no-page" in _arguments(jobs))
    assert serving.replicas == 4


def test_a_number_that_is_taken_out_is_one_again(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    serving = begun(jobs, replicas=3)
    serving.edit()
    eventually("one pod", lambda: serving.replicas == 1)
    assert serving.owners == set()


def test_from_no_pod_the_autoscaler_has_something_to_scale(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    serving = begun(jobs, replicas=0)
    assert serving.replicas == 0
    serving.edit(**SCALED)
    eventually("the least", lambda: serving.replicas == 2)


def _arguments(jobs: Jobs) -> list[str]:
    found = jobs.apps.read_namespaced_deployment("travel-serving", jobs.namespace)
    arguments: list[str] = found.spec.template.spec.containers[0].args
    return arguments
