"""Which operator works: the Lease on a real API server, with clocks as told and with processes."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from builders import spec
from kubernetes import client
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from olive_operator.client.apiserver import ApiServer
from olive_operator.client.connection import connect
from olive_operator.client.leader import Leader, NotLeadingError
from olive_operator.config import LeaseConfig

from .operators import Jobs, Operator
from .standin_node import StandInNode, eventually
from .test_operator import STAGES

LEASE = LeaseConfig(seconds=10, renewSeconds=7, retrySeconds=0.01)
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Machine:
    """A machine's clocks: the one that counts, and the one on the wall."""

    def __init__(self, wall: datetime = NOON) -> None:
        self.now, self.set = 1000.0, wall

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def wall(self) -> datetime:
        return self.set + timedelta(seconds=self.now - 1000)


class Candidates:
    """Operators, each on a machine of its own, that ask for the same Lease."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self._server, self._namespace = server, namespace

    def on(self, machine: Machine, name: str, config: LeaseConfig = LEASE) -> Leader:
        clock = lambda: machine.now  # noqa: E731
        return Leader(self._server, self._namespace, name, config, clock, machine.wall)


@pytest_asyncio.fixture
async def candidates(apiserver: Path, namespace: str) -> AsyncIterator[Candidates]:
    loaded = kubernetes_client.Configuration()
    await kubernetes_config.load_kube_config(str(apiserver), client_configuration=loaded)
    async with connect(loaded) as api:
        yield Candidates(ApiServer(api, tries=1), namespace)


@pytest.fixture
def lease(api: Any, namespace: str) -> Any:
    """Reads the Lease."""
    leases = client.CoordinationV1Api(api)
    return lambda: leases.read_namespaced_lease(LEASE.name, namespace).spec


async def test_first_to_ask_leads_and_the_other_does_not(candidates: Candidates) -> None:
    machine = Machine()
    first, second = candidates.on(machine, "first"), candidates.on(machine, "second")
    assert await first.ask()
    assert not await second.ask()
    first.must_lead()
    with pytest.raises(NotLeadingError):
        second.must_lead()


async def test_leader_that_renews_is_left_alone_for_ever(candidates: Candidates) -> None:
    machine = Machine()
    first, second = candidates.on(machine, "first"), candidates.on(machine, "second")
    for _ in range(20):
        assert await first.ask()
        assert not await second.ask()
        machine.wait(6)


async def test_lease_that_does_not_change_is_taken_over_when_it_is_up(
    candidates: Candidates, lease: Any
) -> None:
    machine = Machine()
    first, second = candidates.on(machine, "first"), candidates.on(machine, "second")
    assert await first.ask()
    assert not await second.ask()
    machine.wait(9.9)
    assert not await second.ask()
    machine.wait(0.2)
    assert await second.ask()
    assert (lease().holder_identity, lease().lease_transitions) == ("second", 1)
    assert not await first.ask(), "it sees that it has lost it"


async def test_leader_stops_by_itself_well_before_another_takes_over(
    candidates: Candidates,
) -> None:
    machine = Machine()
    first, second = candidates.on(machine, "first"), candidates.on(machine, "second")
    assert await first.ask()
    assert not await second.ask()
    machine.wait(7)
    with pytest.raises(NotLeadingError):
        first.must_lead()
    assert not await second.ask()


@pytest.mark.parametrize("hours", [-30, -1, 1, 30])
async def test_clock_on_the_wall_that_is_wrong_neither_steals_nor_loses_the_lease(
    candidates: Candidates, lease: Any, hours: int
) -> None:
    right, wrong = Machine(), Machine(NOON + timedelta(hours=hours))
    first, second = candidates.on(right, "first"), candidates.on(wrong, "second")
    assert await first.ask()
    for _ in range(3):
        right.wait(5)
        wrong.wait(5)
        assert await first.ask()
        assert not await second.ask()
    right.set += timedelta(hours=hours)  # somebody sets it
    assert await first.ask()
    assert not await second.ask()
    first.must_lead()


async def test_leader_on_a_machine_that_slept_knows_that_it_may_have_lost_the_lease(
    candidates: Candidates,
) -> None:
    machine = Machine()
    leader = candidates.on(machine, "first")
    assert await leader.ask()
    machine.wait(3600)
    with pytest.raises(NotLeadingError, match="run out"):
        leader.must_lead()


async def test_lease_tells_its_instants_in_utc_with_microseconds(
    candidates: Candidates, lease: Any
) -> None:
    machine = Machine(datetime(2026, 11, 20, 16, 0, tzinfo=timezone(timedelta(hours=2))))
    leader = candidates.on(machine, "first")
    assert await leader.ask()
    machine.wait(1.5)
    assert await leader.ask()
    found = lease()
    assert found.acquire_time == datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
    assert found.renew_time - found.acquire_time == timedelta(seconds=1.5)
    assert found.lease_duration_seconds == 10


async def test_lease_that_was_given_back_is_taken_at_once(candidates: Candidates) -> None:
    machine = Machine()
    first, second = candidates.on(machine, "first"), candidates.on(machine, "second")
    assert await first.ask()
    assert not await second.ask()
    await first.give_back()
    with pytest.raises(NotLeadingError):
        first.must_lead()
    assert await second.ask()


async def test_nobody_gives_back_what_is_anothers(candidates: Candidates, lease: Any) -> None:
    machine = Machine()
    first, second = candidates.on(machine, "first"), candidates.on(machine, "second")
    await second.give_back()
    assert await first.ask()
    await second.give_back()
    assert lease().holder_identity == "first"


async def test_of_many_that_ask_at_once_one_leads(candidates: Candidates) -> None:
    machine = Machine()
    asked = [candidates.on(machine, str(i)).ask() for i in range(8)]
    assert sum(await asyncio.gather(*asked)) == 1


async def test_keeping_ends_when_somebody_else_holds_the_lease(
    candidates: Candidates, api: Any, namespace: str
) -> None:
    leader = candidates.on(Machine(), "first")
    await leader.take()
    keeping = asyncio.create_task(leader.keep())
    body = {"spec": {"holderIdentity": "somebody"}}
    client.CoordinationV1Api(api).patch_namespaced_lease(LEASE.name, namespace, body)
    with pytest.raises(NotLeadingError, match="somebody holds the Lease"):
        async with asyncio.timeout(10):
            await keeping


# With processes


@pytest.fixture
def standby(apiserver: Path, tmp_path: Path, namespace: str) -> Iterator[Operator]:
    """A second operator, not started yet."""
    found = Operator(apiserver, tmp_path, namespace, "standby")
    yield found
    found.kill()


def test_standby_takes_over_from_a_leader_that_was_killed(
    jobs: Jobs, node: StandInNode, operator: Operator, standby: Operator
) -> None:
    eventually("the first leads", operator.leads)
    standby.start()
    release = node.hold("quantize")
    jobs.create("travel", spec(serve=None))
    eventually("quantize started", lambda: "quantize" in node.ran)
    eventually("the standby is up", standby.answers)
    assert not standby.leads()
    operator.stop(signal.SIGKILL)
    release.set()
    jobs.await_ready("travel")
    assert standby.leads()
    assert sorted(node.ran) == sorted(STAGES)


def test_leader_that_is_told_to_stop_hands_over_without_waiting_for_the_lease_to_end(
    jobs: Jobs, node: StandInNode, apiserver: Path, tmp_path: Path, namespace: str
) -> None:
    lease = {"seconds": 300, "renewSeconds": 200, "retrySeconds": 0.2}
    first, second = (
        Operator(apiserver, tmp_path, namespace, name, lease) for name in ("first", "second")
    )
    with first, second:
        eventually("one leads", lambda: first.leads() or second.leads())
        eventually("both are up", lambda: first.answers() and second.answers())
        leader, other = (first, second) if first.leads() else (second, first)
        release = node.hold("quantize")
        jobs.create("travel", spec(serve=None))
        eventually("quantize started", lambda: "quantize" in node.ran)
        assert leader.stop(signal.SIGTERM) == 0
        eventually("the other leads", other.leads)
        release.set()
        jobs.await_ready("travel")
        assert sorted(node.ran) == sorted(STAGES)


def test_leader_that_was_frozen_ends_and_doubles_nothing(
    jobs: Jobs, node: StandInNode, operator: Operator, standby: Operator
) -> None:
    eventually("the first leads", operator.leads)
    standby.start()
    release = node.hold("quantize")
    jobs.create("travel", spec(serve=None))
    eventually("quantize started", lambda: "quantize" in node.ran)
    operator.send(signal.SIGSTOP)
    eventually("the standby leads", standby.leads)
    release.set()
    operator.send(signal.SIGCONT)
    assert operator.wait() == 1
    assert "no longer leading" in operator.log
    jobs.await_ready("travel")
    assert sorted(node.ran) == sorted(STAGES)
    assert [s for s in jobs.status("travel")["stages"] if s.get("attempt", 1) > 1] == []
