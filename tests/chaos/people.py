"""People, who do not know of each other: what they ask for, and how they edit the same job."""

import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from apiserver.operators import Jobs
from builders import adapter, spec
from kubernetes import client

from olive_operator import labels

MODELS: Final = ("tiny", "small", "other")
PEOPLE: Final = 8
"""Who edit one job at the same time; every fourth patches it, whatever it says by now."""


def sections(draw: random.Random) -> dict[str, Any]:
    """A job that shares its base with others, more or less.

    Where adapters are served there are no replicas: nobody here would answer what they have loaded.
    """
    names = draw.sample(["travel", "food", "law"], draw.randint(0, 2))
    return spec(
        serve=draw.choice((None, {"replicas": 0} if names else {})),
        evaluate=None,
        model={"source": f"pvc://models/{draw.choice(MODELS)}"},
        quantize=draw.choice(({"algorithm": "rtn", "groupSize": 32}, None)),
        adapters=[adapter(name, rank=draw.choice((2, 4, 8, 16, 32))) for name in names],
        retry={"limit": 20, "backoff": "1s"},
    )


class People:
    """``edits``: those that the API server took; ``conflicts``: those that it did not, as somebody
    had been faster.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self.edits = self.conflicts = 0

    def edit_at_once(self, name: str, wishes: Iterable[dict[str, Any]]) -> None:
        """Each goes on until it is what they wish, whatever the others make of it."""
        with ThreadPoolExecutor(PEOPLE) as pool:
            taken = [
                pool.submit(self._patch if number % 4 == 0 else self._replace, name, wish)
                for number, wish in enumerate(wishes)
            ]
        for conflicts in [one.result() for one in taken]:
            self.edits, self.conflicts = self.edits + 1, self.conflicts + conflicts

    def _replace(self, name: str, wish: dict[str, Any], conflicts: int = 0) -> int:
        """Read it and write it back with the wish; how often that was in vain."""
        found = {**self._jobs.get(name), "spec": wish}
        try:
            self._jobs.custom.replace_namespaced_custom_object(*where(self._jobs), name, found)
        except client.ApiException as error:
            if error.status != 409:
                raise
            return self._replace(name, wish, conflicts + 1)
        return conflicts

    def _patch(self, name: str, wish: dict[str, Any]) -> int:
        patch = {"spec": {part: wish.get(part) for part in ("quantize", "adapters", "serve")}}
        self._jobs.custom.patch_namespaced_custom_object(*where(self._jobs), name, patch)
        return 0


def where(jobs: Jobs) -> tuple[str, ...]:
    """Where the jobs are, as the client wants to hear it."""
    return labels.GROUP, labels.VERSION, jobs.namespace, "optimizationjobs"


def all_of(jobs: Jobs) -> list[dict[str, Any]]:
    """The jobs that there are."""
    found: list[dict[str, Any]] = jobs.custom.list_namespaced_custom_object(*where(jobs))["items"]
    return found
