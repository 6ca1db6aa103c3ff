"""What follows each class of failure: the policy as a table, and what it comes to in a job."""

from datetime import timedelta

import pytest
from builders import CONFIG, NOON, World, adapter

from olive_contract.failures import FailureClass as F
from olive_operator.plan.retries import JITTER, LONGEST_DELAY, POLICY, Action, retry_at

AT_ONCE = 0
OWN = CONFIG.retry.backoffSeconds
POLICY_IN_WORDS = [
    # class, action, counts, seconds before the first tries, failures that are tried again
    (F.EVICTED, Action.RETRY, False, [AT_ONCE, OWN, 2 * OWN], None),
    (F.PREEMPTED, Action.RETRY, False, [AT_ONCE, OWN, 2 * OWN], None),
    (F.CANCELLED, Action.RETRY, False, [AT_ONCE, OWN, 2 * OWN], None),
    (F.GPU_FAULT, Action.RETRY, True, [OWN, 2 * OWN], 2),
    (F.GPU_OUT_OF_MEMORY, Action.RETRY_WITH_LESS, True, [OWN], 1),
    (F.OUT_OF_MEMORY, Action.RETRY_WITH_LESS, True, [OWN, 2 * OWN], 2),
    (F.DISK_FULL, Action.RETRY, True, [60, 120], 2),
    (F.INPUT_MISSING, Action.RETRY, True, [AT_ONCE, AT_ONCE], 2),
    (F.STAGE_ERROR, Action.RETRY, True, [OWN, 2 * OWN], 2),
    (F.TIMEOUT, Action.RETRY, True, [OWN], 1),
    (F.IMAGE_PULL, Action.RETRY, True, [60, 120], 2),
    (F.AUTH_DENIED, Action.FAIL, True, [], 0),
    (F.SOURCE_NOT_FOUND, Action.FAIL, True, [], 0),
    (F.INVALID_INPUT, Action.FAIL, True, [], 0),
]


def test_every_class_has_its_line() -> None:
    assert [line[0] for line in POLICY_IN_WORDS] == sorted(POLICY, key=list(POLICY).index)
    assert set(POLICY) == set(F)


@pytest.mark.parametrize(
    ("failure", "action", "counts", "delays", "limit"), POLICY_IN_WORDS, ids=lambda v: str(v)
)
def test_policy(
    failure: F, action: Action, counts: bool, delays: list[int], limit: int | None
) -> None:
    rule = POLICY[failure]
    assert (rule.action, rule.counts) == (action, counts)
    assert rule.advice

    def after(number: int) -> timedelta | None:
        """From the failure of this attempt, each before it having failed the same way."""
        at = retry_at(failure, number if counts else 0, number, CONFIG.retry, NOON, "u1 stage")
        return None if at is None else at - NOON

    for number, seconds in enumerate(delays, 1):
        delay = after(number)
        assert delay is not None
        assert delay >= timedelta(seconds=seconds) * (1 - JITTER)
        assert delay <= timedelta(seconds=seconds) * (1 + JITTER)
    last = after(100 if limit is None else limit + 1)
    if limit is not None:
        assert last is None
    else:
        assert last is not None, "a disruption is never the job's fault"
        assert last <= LONGEST_DELAY * (1 + JITTER)


def test_what_failed_together_does_not_return_together() -> None:
    names = [f"u1 finetune/a{n}" for n in range(20)]
    back = {retry_at(F.STAGE_ERROR, 1, 1, CONFIG.retry, NOON, name) for name in names}
    assert len(back) == 20
    again = {retry_at(F.STAGE_ERROR, 1, 1, CONFIG.retry, NOON, name) for name in names}
    assert back == again, "but each always after the same time"


def test_the_jobs_own_limit_and_delay_come_before_the_installations() -> None:
    world = World(retry={"limit": 1, "backoff": "1m"}).settle()
    world.fail("fetch/model", F.STAGE_ERROR)
    assert 48 <= world.until_retry("fetch/model") <= 72
    world.fail("fetch/model", F.STAGE_ERROR)
    assert world.stage("fetch/model").state == "Failed"


def test_no_limit_of_a_job_has_a_gpu_run_out_of_memory_twice() -> None:
    world = World(retry={"limit": 50}).settle()
    world.finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    world.fail("finetune/travel", F.GPU_OUT_OF_MEMORY)
    world.until_retry("finetune/travel")
    world.fail("finetune/travel", F.GPU_OUT_OF_MEMORY)
    assert world.stage("finetune/travel").state == "Failed"


def test_after_running_out_of_memory_a_stage_is_told_to_hold_less() -> None:
    world = World().settle().finish("fetch/model")
    for less in (0, 1, 2):
        assert world.given("quantize").less == less
        assert world.given("quantize").key == world.stage("quantize").address, "the same artifact"
        if less < 2:
            world.fail("quantize", F.OUT_OF_MEMORY).until_retry("quantize")
    world.fail("quantize", F.OUT_OF_MEMORY).finish("fetch/travel", "check/travel")
    world.finish("reference/travel").annotate_retry("1")
    assert world.given("quantize").less == 0, "the memory limit was raised, say"


def test_disruptions_in_between_use_up_nothing_of_the_limit() -> None:
    world = World().settle()
    for _ in range(6):
        world.run("fetch/model").delete_pod("fetch/model").wait(800)
    for failures in (1, 2):
        world.fail("fetch/model", F.STAGE_ERROR)
        assert world.stage("fetch/model").failures == failures
        world.until_retry("fetch/model")
    assert world.attempt("fetch/model").number == 9


def test_who_asks_for_a_retry_waits_for_no_disruption_either() -> None:
    world = World().settle()
    for _ in range(3):
        world.run("fetch/model").delete_pod("fetch/model").wait(800)
    world.run("fetch/model").delete_pod("fetch/model")
    assert world.stage("fetch/model").retryAt
    before = world.attempt("fetch/model").number
    world.annotate_retry("1")
    assert world.attempt("fetch/model").number == before + 1


def test_failure_that_is_due_at_once_asks_what_every_beginning_asks() -> None:
    world = World(serve=None).settle().run("fetch/model")
    job = world.edit_unseen(serve=None, suspend=True)
    job.delete_pod("fetch/model")
    assert world.stage("fetch/model").reason == "Suspended"
    assert world.started.count("fetch/model") == 1
    world.edit(serve=None)
    assert world.attempt("fetch/model").number == 2


def test_other_adapters_go_on_while_one_waits_for_its_next_try() -> None:
    world = World(adapters=[adapter("travel"), adapter("food")], retry={"backoff": "1h"}).settle()
    world.fail("fetch/food", F.STAGE_ERROR)
    world.finish("fetch/model", "quantize", "export", "fetch/travel", "check/travel")
    world.finish("finetune/travel")
    assert world.stage("adapter/travel").state == "Pending"
    assert world.stage("fetch/food").retryAt
