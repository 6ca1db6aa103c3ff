"""What becomes of a store's artifacts, step by step, and what counts as a use of one."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import World, spec
from builders.jobs import job_seen
from builders.keeping import Keeper, Planner, Swept

from olive_contract.serving import ServedAdapter, Serving
from olive_contract.stage import StageInput
from olive_contract.sweep import Sweep
from olive_operator import labels
from olive_operator.api.seen import JobSeen, Ref
from olive_operator.api.status import (
    AdapterStatus,
    ServingStatus,
    StageStatus,
    State,
    Status,
)
from olive_operator.api.store import StoredSeen, StoreSeen, SweepSeen
from olive_operator.build import StoreMount, sweep
from olive_operator.client.apiserver import ApiError
from olive_operator.client.leader import NotLeadingError
from olive_operator.config import Config, Images, Retention
from olive_operator.plan.retention import AT_ONCE, KEPT, Upkeep, upkeep
from olive_operator.reconcile.observe_store import stores, sweeping
from olive_operator.reconcile.stores import Stores
from olive_operator.watch.cache import Cache
from olive_operator.watch.kept import JobRecord, SweepRecord
from olive_operator.watch.kinds import JOB, WATCHED

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KEYS = tuple(str(number) * 64 for number in range(10))
ONE, TWO, THREE = KEYS[1:4]
POLICY = Retention()
NOTHING = Upkeep()


def unused(key: str, since: timedelta | None, size: int = 10) -> StoredSeen:
    """The record of an artifact that was made lately, and unused for so long."""
    return StoredSeen(f"a-{key[0]}", key, size, NOON - HOUR, NOON - since if since else None)


def store(*artifacts: StoredSeen, used: Iterable[str] = (), **seen: Any) -> StoreSeen:
    return StoreSeen("ml", "olive-store", artifacts, frozenset(used), **seen)


def decided(seen: StoreSeen, policy: Retention = POLICY) -> Upkeep:
    return upkeep(seen, policy, NOON)


def keys(found: Upkeep) -> list[str]:
    return [key[0] for key in found.sweep.keys] if found.sweep else []


# Marks


def test_what_nothing_refers_to_is_marked_once() -> None:
    assert decided(store(unused(ONE, None), unused(TWO, DAY))) == Upkeep(mark=("a-1",))


def test_what_is_referred_to_again_loses_its_mark() -> None:
    seen = store(unused(ONE, 99 * DAY), unused(TWO, None), used={ONE, TWO})
    assert decided(seen) == Upkeep(unmark=("a-1",))


# What is to go


@pytest.mark.parametrize(
    ("since", "retention", "goes"),
    [
        (30 * DAY, "30d", ["1"]),
        (30 * DAY - timedelta(seconds=1), "30d", []),
        (timedelta(seconds=1), "0s", ["1"]),
        (9999 * DAY, "", []),
        (-DAY, "30d", []),
    ],
    ids=["just long enough", "a second too short", "kept for no time", "for ever", "in the future"],
)
def test_an_artifact_goes_when_it_was_unused_for_the_retention(
    since: timedelta, retention: str, goes: list[str]
) -> None:
    assert keys(decided(store(unused(ONE, since)), Retention(retention))) == goes


@pytest.mark.parametrize(
    ("limit", "goes"),
    [
        ("40", []),
        ("39", ["2"]),
        ("30", ["2"]),
        ("29", ["2", "1"]),
        ("0.02k", ["2", "1"]),
        ("1", ["2", "1"]),
        ("", []),
    ],
)
def test_in_a_store_that_is_too_large_the_longest_unused_go_first(
    limit: str, goes: list[str]
) -> None:
    """One has just become unused, one is used: they stay, however large the store is."""
    artifacts = [
        unused(ONE, DAY),
        unused(TWO, 2 * DAY),
        unused(THREE, HOUR / 2),
        unused(KEYS[4], None),
    ]
    seen = store(*artifacts, used={KEYS[4]})
    assert keys(decided(seen, Retention(maxSize=limit))) == goes


def test_of_two_records_of_one_artifact_both_go_in_one_sweep() -> None:
    twins = replace(unused(ONE, 40 * DAY), name="by-hand"), unused(ONE, 40 * DAY)
    assert set(keys(decided(store(*twins)))) == {"1"}
    sweep = SweepSeen("sweep", frozenset({ONE}), suspended=True)
    back = decided(store(*twins, used={ONE}, sweeps=(sweep,)))
    assert (back.end, back.forget) == (("sweep",), ()), "it has come to be used again"


def test_what_has_expired_makes_room_before_anything_goes_early() -> None:
    seen = store(unused(ONE, 31 * DAY), unused(TWO, 2 * DAY))
    assert keys(decided(seen, Retention(maxSize="10"))) == ["1"]


def test_one_sweep_removes_no_more_than_its_argument_can_hold() -> None:
    many = [replace(unused(ONE, 31 * DAY), key=f"{n:064}", name=f"a-{n}") for n in range(2000)]
    waits = {f"{n:064x}" for n in range(10**9, 10**9 + KEPT)}
    found = decided(store(*many, open=frozenset(waits))).sweep
    assert found
    assert len(found.keys) == AT_ONCE
    assert len(found.to_json()) < 128 << 10, "Linux takes no longer argument"


# What is left over


def old(**seen: Any) -> StoreSeen:
    """A store whose only artifact is used, and older than a day."""
    artifact = replace(unused(ONE, None), createdAt=NOON - DAY)
    return store(artifact, used={ONE}, **seen)


@pytest.mark.parametrize(
    ("ago", "due"),
    [(None, True), (DAY, True), (DAY - HOUR, False)],
    ids=["never swept", "swept yesterday", "swept today"],
)
def test_leftovers_are_looked_for_once_a_day(ago: timedelta | None, due: bool) -> None:
    over = SweepSeen("s", frozenset(), outcome="Complete", endedAt=NOON - ago) if ago else None
    found = decided(old(sweeps=(over,) if over else ()))
    assert (found.end == ("s",) or found.sweep is not None) == due


def test_in_a_store_in_which_nothing_is_a_day_old_nothing_is_left_over() -> None:
    assert decided(store(unused(ONE, None), used={ONE})) == NOTHING


def test_leftovers_may_stay_for_ever() -> None:
    assert decided(old(), Retention(leftovers="")) == NOTHING
    expired = decided(store(unused(ONE, 31 * DAY)), Retention(leftovers=""))
    assert expired.sweep == Sweep((ONE,))


@pytest.mark.parametrize(
    ("oldest", "before"),
    [(None, 7 * DAY), (NOON - DAY, 7 * DAY), (NOON - 9 * DAY, 9 * DAY + HOUR)],
    ids=["nothing runs", "an attempt of yesterday", "an attempt that is older than that"],
)
def test_nothing_is_left_over_that_an_attempt_under_way_may_be_writing(
    oldest: datetime | None, before: timedelta
) -> None:
    found = decided(old(oldest=oldest, open=frozenset({THREE, TWO}))).sweep
    assert found == Sweep((), (NOON - before).isoformat(), (TWO, THREE))


def test_with_more_open_stages_than_can_be_told_leftovers_stay() -> None:
    many = frozenset(f"{n:064}" for n in range(KEPT + 1))
    found = decided(store(unused(ONE, 31 * DAY), open=many)).sweep
    assert found == Sweep((ONE,))


# The steps of a sweep

MADE = SweepSeen("s", frozenset({ONE, TWO}))
GOING = replace(MADE, suspended=False)
OVER = replace(GOING, outcome="Complete", endedAt=NOON)
BOTH = (unused(ONE, 31 * DAY), unused(TWO, 31 * DAY))


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (store(*BOTH, sweeps=(MADE,)), Upkeep(forget=("a-1", "a-2"))),
        (store(BOTH[1], sweeps=(MADE,)), Upkeep(forget=("a-2",))),
        (store(sweeps=(MADE,)), Upkeep(begin=("s",))),
        (store(sweeps=(GOING,)), NOTHING),
        (store(sweeps=(OVER,)), NOTHING),
        (store(*BOTH, used={TWO}, sweeps=(MADE,)), Upkeep(unmark=("a-2",), end=("s",))),
        (store(BOTH[1], used={ONE, TWO}, sweeps=(MADE,)), Upkeep(unmark=("a-2",), forget=("a-2",))),
        (store(used={ONE}, sweeps=(MADE,)), Upkeep(begin=("s",))),
        (store(*BOTH, sweeps=(replace(MADE, deleting=True),)), NOTHING),
        (store(sweeps=(replace(GOING, outcome="Failed"),)), Upkeep(end=("s",))),
        (store(*BOTH, sweeps=(OVER,)), Upkeep(end=("s",))),
        (store(*BOTH, sweeps=(replace(OVER, deleting=True),)), NOTHING),
        (store(unused(THREE, 99 * DAY), sweeps=(GOING,)), NOTHING),
    ],
    ids=[
        "made: its records go",
        "some records are gone: the others go",
        "no record is left: it begins",
        "it is at work",
        "it is over",
        "one is used again, and nothing was touched: withdrawn",
        "one is used again, but its record is gone: on with it",
        "one is used again, but all records are gone: on with it",
        "withdrawn, and not gone yet",
        "somebody made it fail: it goes, to be decided on again",
        "the next one waits until what is over is gone",
        "and is not gone yet",
        "what else is to go waits for its end",
    ],
)
def test_every_step_is_seen_to_be_done_before_the_next(seen: StoreSeen, what: Upkeep) -> None:
    assert decided(seen) == what


def test_what_was_decided_on_and_is_not_there_yet_is_asked_for_again() -> None:
    lost = replace(MADE, there=False)
    seen = store(*BOTH, unused(THREE, 99 * DAY), sweeps=(lost,))
    assert keys(decided(seen)) == ["1", "2"]


# What counts as a use

CONFIG = Config(Images("stage:1", "slim:1", "serve:1"))
CLAIM = {"metadata": {"name": "olive-store"}, "spec": {"accessModes": ["ReadWriteMany"]}}


class Namespace:
    """A cache with a job ``travel`` in it, and what else a test puts there."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.planned: dict[tuple[str, str], JobSeen] = {}
        self.version = 0
        self.put("PersistentVolumeClaim", CLAIM)
        for key in KEYS:
            self.put("Artifact", {"metadata": {"name": key}, "spec": on_claim(key)})
        self.job(Status())

    def put(self, kind: str, body: dict[str, Any]) -> None:
        self.version += 1
        meta = {"namespace": "ml", "uid": "u", "labels": {}, **body["metadata"]}
        record = WATCHED[kind].record({**body, "metadata": meta})
        self.cache.put(kind, ("ml", meta["name"]), self.version, "u", record)

    def job(self, status: Status, **record: Any) -> None:
        """The job as it is, planned as its status says."""
        self.version += 1
        seen = job_seen(spec(), status)
        self.planned["ml", "travel"] = seen
        self.cache.put(JOB, ("ml", "travel"), self.version, "u1", JobRecord(seen, **record))

    def used(self) -> str:
        (found,) = stores(self.cache, self.planned)
        return "".join(sorted(key[0] for key in found.used if key in KEYS))


def on_claim(key: str) -> dict[str, Any]:
    return {"claim": "olive-store", "key": key, "kind": "export"}


def batch_job(name: str, component: str, argument: str, ended: str = "") -> dict[str, Any]:
    conditions = [{"type": ended, "status": "True"}] if ended else []
    pod = {"containers": [{"args": ["sweep", argument][component == "stage" :]}]}
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": "2026-11-21T10:00:00Z",
            "labels": {labels.COMPONENT: component, labels.JOB: "travel"},
            "annotations": {labels.CLAIM: "olive-store", labels.ADDRESS: ONE},
        },
        "spec": {"template": {"spec": pod}},
        "status": {"conditions": conditions},
    }


GIVEN = StageInput("export", "export", {}, {"model": TWO, "data": THREE}, ONE).to_json()


def stage(key: str, state: State = State.SUCCEEDED, **fields: Any) -> StageStatus:
    return StageStatus(f"export-{key[0]}", state, key=key, address=key, **fields)


def test_nothing_is_used_where_no_job_needs_it() -> None:
    assert Namespace().used() == ""


def test_what_a_job_is_made_of_is_used_whatever_its_stages_have_come_to() -> None:
    ns = Namespace()
    ns.job(
        Status(
            claim="olive-store",
            stages=(
                stage(ONE),
                stage(TWO, State.FAILED),
                replace(stage(THREE, State.WAITING), key=""),
            ),
        )
    )
    assert ns.used() == "123"


def test_what_another_claim_holds_under_the_same_keys_is_another_thing() -> None:
    ns = Namespace()
    ns.job(Status(claim="other", stages=(stage(ONE),)))
    assert ns.used() == ""


def test_what_is_served_is_used_even_where_the_job_has_moved_to_another_claim() -> None:
    ns, adapters = Namespace(), (AdapterStatus("travel", TWO),)
    serving = ServingStatus(model=ONE, claim="olive-store", adapters=adapters)
    ns.job(Status(claim="other", serving=serving))
    assert ns.used() == "12"


def test_what_serving_pods_were_told_to_load_is_used_as_long_as_they_may_read_it() -> None:
    ns, told = Namespace(), Serving("travel", ONE, (ServedAdapter("travel", TWO),))
    meta = {"name": "travel-serving-old", "labels": {labels.JOB: "travel"}}
    ns.put("ConfigMap", {"metadata": meta, "data": {"serving.json": told.to_json()}})
    assert ns.used() == "12"


def test_an_attempt_under_way_uses_what_it_makes_and_what_it_reads() -> None:
    ns = Namespace()
    ns.put("Job", batch_job("a", "stage", GIVEN))
    assert ns.used() == "123"
    ns.put("Job", batch_job("a", "stage", GIVEN, ended="Failed"))
    assert ns.used() == ""


def test_a_pod_that_outlives_its_job_uses_what_it_reads() -> None:
    ns = Namespace()
    body = batch_job("a", "stage", GIVEN)
    volume = {"persistentVolumeClaim": {"claimName": "olive-store"}}
    pod = {**body["spec"]["template"]["spec"], "volumes": [volume]}
    ns.put("Pod", {**body, "spec": pod, "status": {"phase": "Running"}})
    assert ns.used() == "123"
    ns.put("Pod", {**body, "spec": pod, "status": {"phase": "Succeeded"}})
    assert ns.used() == ""


def test_stages_that_were_tried_and_are_not_done_are_open_and_the_oldest_attempt_is_known() -> None:
    ns = Namespace()
    tried = (
        stage(ONE, State.PENDING, attempt=2),
        stage(TWO, State.PENDING),
        stage(THREE, attempt=1),
    )
    ns.job(Status(claim="olive-store", stages=tried))
    ns.put("Job", batch_job("a", "stage", GIVEN))
    (found,) = stores(ns.cache, ns.planned)
    assert found.open == {ONE}
    assert found.oldest == datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.mark.parametrize("why", ["never planned", "an older spec", "another job", "unreadable"])
def test_while_it_is_not_known_what_a_job_needs_its_stores_are_left_alone(why: str) -> None:
    ns, seen = Namespace(), job_seen(spec())
    if why == "never planned":
        ns.planned.clear()
    elif why == "unreadable":
        ns.cache.put(JOB, ("ml", "travel"), 99, "u1", JobRecord(None, mistake="spec.model"))
    else:
        changed = {"generation": 2} if why == "an older spec" else {"uid": "u2"}
        ns.cache.put(JOB, ("ml", "travel"), 99, "u1", JobRecord(replace(seen, **changed)))
    assert list(stores(ns.cache, ns.planned)) == []


def test_a_job_that_is_being_deleted_uses_what_it_did() -> None:
    ns = Namespace()
    ns.job(Status(claim="olive-store", stages=(stage(ONE),)), deleting=True)
    ns.planned.clear()
    assert ns.used() == "1"


def test_a_store_whose_claim_is_gone_is_left_alone() -> None:
    ns = Namespace()
    ns.cache.drop("PersistentVolumeClaim", ("ml", "olive-store"), 99)
    assert list(stores(ns.cache, ns.planned)) == []


def test_keys_are_blocked_until_the_sweep_is_over() -> None:
    ns = Namespace()
    given = Sweep((ONE, TWO)).to_json()
    ns.put("Job", batch_job("s", "sweep", given))
    assert sweeping(ns.cache, "ml", "olive-store") == {ONE, TWO}
    assert sweeping(ns.cache, "ml", "other") == frozenset()
    ns.put("Job", batch_job("s", "sweep", given, ended="Complete"))
    assert sweeping(ns.cache, "ml", "olive-store") == frozenset()


def test_a_sweeps_job_says_itself_what_it_removes() -> None:
    manifest = sweep("ml", Sweep((TWO, ONE)), StoreMount("olive-store", oneNode=True), CONFIG)
    record = WATCHED["Job"].record({**manifest, "metadata": {**manifest["metadata"], "uid": "u"}})
    assert isinstance(record, SweepRecord)
    assert record.seen == SweepSeen(manifest["metadata"]["name"], frozenset({ONE, TWO}))
    again = sweep("ml", Sweep((ONE, TWO)), StoreMount("olive-store"), CONFIG)
    assert again["metadata"]["name"] == manifest["metadata"]["name"]


@pytest.mark.parametrize("text", ["yesterday", "2026-11-21T10:00:00"])
def test_a_mark_that_a_person_has_made_unreadable_is_none(text: str) -> None:
    notes = {"annotations": {labels.UNUSED_SINCE: text}, "name": "a", "namespace": "ml", "uid": "u"}
    record: Any = WATCHED["Artifact"].record({"metadata": notes, "spec": on_claim(ONE)})
    assert record.stored.unusedSince is None


# What a job does meanwhile


def swept(world: World, *swept: str) -> World:
    """These keys are being removed from the store."""
    world.seen = replace(world.seen, sweeping=frozenset(swept))
    return world.settle()


def test_a_stage_whose_artifact_is_being_removed_waits_and_makes_it_again() -> None:
    world = World(adapters=[], evaluate=None).settle().finish("fetch/model", "quantize")
    key = world.attempt("export").address
    world.finish("export")
    world.roll_out()
    assert world.stage("export").state == State.SUCCEEDED
    world.started.clear()
    swept(world, key)
    waits = world.stage("export")
    assert (waits.state, waits.reason) == (State.PENDING, "StoreSweeping")
    assert world.last
    assert key in world.last.waits
    world.records = [r for r in world.records if r.key != key]
    assert world.settle().started == []
    swept(world)
    assert world.started == ["export"]
    world.finish("export")
    assert world.condition("Ready") == ("True", "Serving")


def test_nothing_is_recorded_of_what_a_fetch_has_found_while_it_was_being_removed() -> None:
    world = World().settle()
    world.finish("fetch/model", "fetch/travel")
    key = world.stage("fetch/model").key
    again = World().settle()
    swept(again, key)
    again.finish("fetch/model", "fetch/travel", cached=True)
    found = again.stage("fetch/model")
    assert (found.state, found.reason, found.failures) == (State.PENDING, "StoreSweeping", 0)
    assert key not in {record.key for record in again.records}
    assert again.started.count("fetch/model") == 1
    swept(again)
    assert again.started.count("fetch/model") == 2
    again.finish("fetch/model")
    assert again.stage("fetch/model").state == State.SUCCEEDED
    assert key in {record.key for record in again.records}


def test_a_store_of_one_job_is_not_held_up_by_what_is_swept_of_others() -> None:
    world = swept(World(), ONE, TWO).finish("fetch/model", "fetch/travel", "quantize", "export")
    assert world.stage("export").state == State.SUCCEEDED


# Between the decision and the Job


@pytest.fixture
def cluster() -> Swept:
    """A namespace in memory with one artifact that is to go."""
    found = Swept()
    found.claim("olive-store", "ReadWriteMany")
    meta = {
        "name": "a",
        "namespace": "ml",
        "annotations": {labels.UNUSED_SINCE: "2026-01-01T00:00:00Z"},
    }
    found.put(
        "Artifact", "a", WATCHED["Artifact"].record({"metadata": meta, "spec": on_claim(ONE)})
    )
    return found


def test_what_is_decided_on_is_blocked_before_the_api_server_knows_of_it(cluster: Swept) -> None:
    keeper = Keeper(cluster, Planner(cluster), POLICY)
    keeper.step(0)
    assert not cluster.sweeps
    assert sweeping(cluster.cache, "ml", "olive-store") == {ONE}
    keeper.step(1)
    assert [sweep.seen.keys for sweep in cluster.sweeps.values()] == [{ONE}]
    assert sweeping(cluster.cache, "ml", "olive-store") == {ONE}


@pytest.mark.parametrize(("status", "blocked"), [(403, set()), (0, {ONE}), (503, {ONE})])
def test_where_the_api_server_refuses_a_sweep_its_keys_are_free_and_without_an_answer_they_are_not(
    cluster: Swept, status: int, blocked: set[str]
) -> None:
    keeper = Keeper(cluster, Planner(cluster), POLICY)
    keeper.failing = ApiError(status, "exceeded quota")
    keeper.step()
    assert sweeping(cluster.cache, "ml", "olive-store") == blocked
    keeper.failing = None
    keeper.step()
    assert len(cluster.sweeps) == 1


async def test_a_step_that_is_refused_keeps_none_of_the_others_back(
    cluster: Swept, caplog: pytest.LogCaptureFixture
) -> None:
    """A record that cannot be marked, another one, and a sweep that is due."""
    record = WATCHED["Artifact"].record
    for name, key in (("stubborn", TWO), ("b", THREE)):
        meta = {"name": name, "namespace": "ml"}
        cluster.put("Artifact", name, record({"metadata": meta, "spec": on_claim(key)}))
    asked = []

    class Api:
        async def create(self, manifest: Any) -> None:
            asked.append("create")

        async def patch(self, namespace: str, ref: Ref, patch: Any) -> None:
            asked.append(ref.name)
            if ref.name == "stubborn":
                raise ApiError(403, "a webhook says no")

        async def delete(self, namespace: str, ref: Ref, uid: str, version: int = 0) -> None:
            asked.append(f"delete {ref.name}")

    planned = Planner(cluster).planned
    kept = Stores(cluster.cache, Api(), CONFIG, planned, cluster.poke)
    for _ in range(3):
        assert not await kept.look(), "there is no hurry to be refused again"
    assert asked[:3] == ["stubborn", "b", "create"]
    assert [r.message for r in caplog.records] == ["store ml/olive-store: 403 a webhook says no"]


async def test_stores_are_left_alone_while_it_is_not_known_what_they_are_needed_for() -> None:
    asked, looked = asyncio.Event(), asyncio.Event()

    class Kept(Stores):
        async def look(self) -> bool:
            looked.set()
            return False

    def informed() -> bool:
        asked.set()
        return False

    cluster: Any = None
    stores = Kept(Cache(), cluster, CONFIG, {}, lambda keys: None, informed=informed)
    running = asyncio.create_task(stores.run())
    await asked.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert not looked.is_set()


async def test_the_end_of_the_lease_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    told = asyncio.Event()

    class Kept(Stores):
        async def look(self) -> bool:
            told.set()
            raise NotLeadingError("the Lease has run out")

    cluster: Any = None
    running = asyncio.create_task(Kept(Cache(), cluster, CONFIG, {}, lambda keys: None).run())
    await told.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    (said,) = caplog.records
    assert (said.getMessage(), said.exc_info) == (
        "the stores are left alone: the Lease has run out",
        None,
    )
