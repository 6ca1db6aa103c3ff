"""Adapters wanted, loaded, offered: what is done next."""

from math import inf

from olive_contract.serving import ServedAdapter
from olive_serve.adapters import AdapterPlan, Failure, plan, status_of

TRAVEL, TRAVEL_2 = ServedAdapter("travel", "t1"), ServedAdapter("travel", "t2")
FRENCH = ServedAdapter("french", "f1")
ALIAS = ServedAdapter("alias", "t1")


def planned(
    *wanted: ServedAdapter,
    loaded: tuple[str, ...] = (),
    routes: dict[str, str] | None = None,
    failures: dict[str, Failure] | None = None,
    now: float = 100.0,
) -> AdapterPlan:
    return plan(wanted, frozenset(loaded), routes or {}, failures or {}, now=now, retry=30)


def test_a_new_one_is_loaded_and_offered_only_then() -> None:
    assert planned(TRAVEL) == AdapterPlan((TRAVEL,), {}, frozenset())
    assert planned(TRAVEL, loaded=("t1",)) == AdapterPlan((), {"travel": "t1"}, frozenset())


def test_a_removed_one_is_no_longer_offered_and_unloaded() -> None:
    it = planned(FRENCH, loaded=("t1", "f1"), routes={"travel": "t1", "french": "f1"})
    assert it == AdapterPlan((), {"french": "f1"}, frozenset({"t1"}))


def test_a_replaced_one_answers_until_the_new_one_can() -> None:
    before = planned(TRAVEL_2, loaded=("t1",), routes={"travel": "t1"})
    assert before == AdapterPlan((TRAVEL_2,), {"travel": "t1"}, frozenset())
    after = planned(TRAVEL_2, loaded=("t1", "t2"), routes={"travel": "t1"})
    assert after == AdapterPlan((), {"travel": "t2"}, frozenset({"t1"}))


def test_two_names_share_one_key() -> None:
    it = planned(ALIAS, loaded=("t1",), routes={"travel": "t1"})
    assert it == AdapterPlan((), {"alias": "t1"}, frozenset())


def test_a_failed_one_waits_for_its_next_try() -> None:
    failed = {"t1": Failure("damaged", at=80.0)}
    assert planned(TRAVEL, failures=failed, now=109.0).load == ()
    assert planned(TRAVEL, failures=failed, now=110.0).load == (TRAVEL,)


def test_one_that_took_the_engine_with_it_is_not_tried_again() -> None:
    assert planned(TRAVEL, failures={"t1": Failure("crash", at=inf)}, now=1e9).load == ()


def test_after_the_engine_was_lost_nothing_is_offered_and_all_is_loaded_again() -> None:
    it = planned(TRAVEL, FRENCH, routes={"travel": "t1", "french": "f1"})
    assert it == AdapterPlan((TRAVEL, FRENCH), {}, frozenset())


def test_the_status_tells_what_answers_and_why_not_the_new_one() -> None:
    status = status_of(TRAVEL_2, {"travel": "t1"}, {"t2": Failure("damaged", at=0)})
    assert (status.state, status.serving, status.message) == ("failed", "t1", "damaged")
    assert status_of(TRAVEL, {"travel": "t1"}, {}).state == "loaded"
    assert status_of(TRAVEL, {}, {}).state == "loading"
