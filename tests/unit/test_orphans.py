"""Children whose job is gone: deleted when the garbage collector has had its time, not sooner."""

from typing import Any

import pytest
from builders import job_seen, spec

from olive_operator.api.seen import AttemptSeen, Ref
from olive_operator.reconcile.orphans import PATIENCE, Orphans
from olive_operator.watch.cache import Cache, JobKey
from olive_operator.watch.kept import AttemptRecord, ChildRecord, JobRecord
from olive_operator.watch.kinds import JOB

TRAVEL: JobKey = ("ml", "travel")
ATTEMPT = Ref("Job", "travel-quantize-1")
CONFIG_MAP = Ref("ConfigMap", "travel")
LISTED_AFTER, LISTED_BEFORE = 10, 2
"""Versions of a list of the jobs: the children are of version 3 and 4."""


class Story:
    """What is left of a job of the uid ``gone``: an attempt, and a ConfigMap."""

    def __init__(self, owner: str = "gone") -> None:
        self.cache, self.now, self.doubts = Cache(), 1000.0, 0
        self.deleted: list[tuple[Ref, str]] = []
        cluster: Any = self
        self.orphans = Orphans(self.cache, cluster, self._doubt, lambda: self.now)
        self.attempt(owner, version=3)
        child = ChildRecord(TRAVEL, owner, CONFIG_MAP, "hash")
        self.cache.put("ConfigMap", ("ml", "travel"), 4, "uid of the map", child)

    def attempt(self, owner: str, version: int, **more: Any) -> None:
        seen = AttemptSeen(ATTEMPT.name, "quantize", "a" * 64, 1, **more)
        record = AttemptRecord(TRAVEL, "uid of the attempt", owner, seen)
        self.cache.put("Job", ("ml", ATTEMPT.name), version, "uid of the attempt", record)

    def listed(self, version: int, scope: str = "") -> None:
        """A list of the jobs has come, and this one is not in it."""
        self.cache.keep(JOB, scope, (), version)

    def _doubt(self) -> None:
        self.doubts += 1

    async def delete(self, namespace: str, ref: Ref, uid: str) -> None:
        assert namespace == "ml"
        self.deleted.append((ref, uid))

    async def look(self, after: float = 0.0, uid: str = "") -> float | None:
        self.now += after
        return await self.orphans.look(TRAVEL, uid)


BOTH = [(ATTEMPT, "uid of the attempt"), (CONFIG_MAP, "uid of the map")]


async def test_what_the_garbage_collector_leaves_is_deleted() -> None:
    story = Story()
    story.listed(LISTED_AFTER)
    assert await story.look() == PATIENCE
    assert await story.look(after=PATIENCE - 1) == 1
    assert story.deleted == []
    assert await story.look(after=1) == PATIENCE
    assert (story.deleted, story.doubts) == (BOTH, 0)


async def test_what_takes_its_time_to_go_is_not_deleted_at_every_look() -> None:
    story = Story()
    story.listed(LISTED_AFTER)
    await story.look()
    await story.look(after=PATIENCE)
    assert await story.look(after=1) == PATIENCE - 1
    assert story.deleted == BOTH
    await story.look(after=PATIENCE)
    assert story.deleted == BOTH + BOTH


@pytest.mark.parametrize("scope", ["", "ml"])
async def test_a_job_that_no_list_has_shown_to_be_gone_is_asked_for_first(scope: str) -> None:
    story = Story()
    story.listed(LISTED_BEFORE, scope)
    await story.look()
    left = await story.look(after=PATIENCE)
    assert (story.deleted, story.doubts) == ([], 1)
    assert left is not None
    story.listed(LISTED_AFTER, scope)
    await story.look(after=left)
    assert (story.deleted, story.doubts) == (BOTH, 1)


async def test_children_that_change_go_on_being_proved_by_the_same_list() -> None:
    story = Story()
    story.listed(5)
    await story.look()
    story.attempt("gone", version=20, outcome="Failed")
    await story.look(after=PATIENCE)
    assert story.deleted == BOTH


async def test_children_of_the_job_that_is_there_stay() -> None:
    story = Story()
    job = job_seen(spec(), uid="gone")
    story.cache.put(JOB, TRAVEL, 2, "gone", JobRecord(job))
    assert await story.look(uid="gone") is None
    assert await story.look(after=10 * PATIENCE, uid="gone") is None
    assert story.deleted == []


async def test_a_job_made_anew_under_the_name_has_those_of_the_old_one_cleared() -> None:
    story = Story()
    story.listed(LISTED_AFTER)
    await story.look(uid="new")
    await story.look(after=PATIENCE, uid="new")
    assert story.deleted == BOTH


async def test_children_that_were_left_on_purpose_stay() -> None:
    story = Story(owner="")
    story.listed(LISTED_AFTER)
    assert await story.look() is None
    assert story.deleted == []


async def test_an_attempt_that_is_ending_is_left_to_end() -> None:
    story = Story()
    story.listed(LISTED_AFTER)
    await story.look()
    story.attempt("gone", version=5, deleting=True)
    await story.look(after=PATIENCE)
    assert story.deleted == [(CONFIG_MAP, "uid of the map")]


async def test_the_next_job_that_goes_has_its_own_time() -> None:
    story = Story()
    story.listed(LISTED_AFTER)
    await story.look()
    for kind, name in (("Job", ATTEMPT.name), ("ConfigMap", "travel")):
        story.cache.drop(kind, ("ml", name), 11)
    assert await story.look(after=1) is None
    story.attempt("the next", version=12)
    assert await story.look(after=PATIENCE) == PATIENCE
    assert story.deleted == []
