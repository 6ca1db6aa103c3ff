"""What to do about a failed attempt, by its class. The table is the policy; it is pure data.

A disruption is nobody's fault: it never counts against the limit. What cannot come right by itself
(a source that does not exist, data that is malformed) is not tried again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from olive_contract.failures import FailureClass as F
from olive_contract.keys import digest
from olive_operator.api.duration import parsed
from olive_operator.api.spec import RetrySpec
from olive_operator.config import Retry

LONGEST_DELAY: Final = timedelta(minutes=10)
"""Between two attempts at most, jitter apart."""
JITTER: Final = 0.2
"""A delay is longer or shorter by up to this part, so that what failed together does not return
together."""


class Action(StrEnum):
    """What follows a failure. Less: the next attempt is told to hold less in memory at once."""

    RETRY = "retry"
    RETRY_WITH_LESS = "retry with less"
    FAIL = "fail"


@dataclass(frozen=True)
class Rule:
    """``counts``: against the limit. ``delay``: the first one, the job's own if None.

    ``limit``: failures in a row that are tried again, the job's own if None or if that is smaller.
    """

    action: Action
    advice: str
    counts: bool = True
    delay: timedelta | None = None
    limit: int | None = None


_ANNOTATE = "annotate the job: olive-operator.io/retry=<any new value>"
_FIX_SPEC = f"correct the spec and the job goes on by itself; if it stays as it is, {_ANNOTATE}"
_AT_ONCE = timedelta()


def _disruption(advice: str) -> Rule:
    return Rule(Action.RETRY, advice, counts=False)


POLICY: Final[Mapping[F, Rule]] = {
    F.EVICTED: _disruption("the node was drained or lost; it is done again"),
    F.PREEMPTED: _disruption("a pod of higher priority took its place; it is done again"),
    F.CANCELLED: _disruption("the pod was told to stop; it is done again"),
    F.GPU_FAULT: Rule(Action.RETRY, "look at the node's GPU"),
    F.GPU_OUT_OF_MEMORY: Rule(
        Action.RETRY_WITH_LESS, "lower batchSize or maxLength, or name larger GPUs", limit=1
    ),
    F.OUT_OF_MEMORY: Rule(
        Action.RETRY_WITH_LESS, "raise the memory limit of stages in the chart's values"
    ),
    F.DISK_FULL: Rule(
        Action.RETRY,
        "enlarge the claim or delete artifacts that nobody needs",
        delay=timedelta(minutes=1),
    ),
    F.INPUT_MISSING: Rule(Action.RETRY, "the missing artifact is made again", delay=_AT_ONCE),
    F.STAGE_ERROR: Rule(Action.RETRY, "read the pod's log"),
    F.TIMEOUT: Rule(
        Action.RETRY,
        "read the pod's log, or raise spec.timeouts; of a pod that did not begin, look at its node",
        limit=1,
    ),
    F.IMAGE_PULL: Rule(
        Action.RETRY, "check the image's name and the pull secrets", delay=timedelta(minutes=1)
    ),
    F.AUTH_DENIED: Rule(Action.FAIL, f"correct the credentials or their rights, then {_ANNOTATE}"),
    F.SOURCE_NOT_FOUND: Rule(Action.FAIL, _FIX_SPEC),
    F.INVALID_INPUT: Rule(Action.FAIL, _FIX_SPEC),
}


def policy_of(job: RetrySpec, installed: Retry) -> Retry:
    """The limit and the first delay: the job's, or else the installation's."""
    seconds = installed.backoffSeconds
    if job.backoff is not None:
        seconds = int(parsed(job.backoff).total_seconds())
    return Retry(installed.limit if job.limit is None else job.limit, seconds)


def retry_at(
    failure: F, failures: int, attempt: int, policy: Retry, finished: datetime, who: str
) -> datetime | None:
    """When to try again, or None if it is not to be tried.

    ``failures`` are those that count, this one included; ``attempt`` is the number of the one that
    failed; ``who`` names the work, for its own jitter. The delay doubles with each. A first
    disruption costs no delay; a node that evicts again and again does.
    """
    rule = POLICY[failure]
    limit = policy.limit if rule.limit is None else min(rule.limit, policy.limit)
    if rule.action == Action.FAIL or (rule.counts and failures > limit):
        return None
    times = failures if rule.counts else attempt - 1
    if times == 0:
        return finished
    first = timedelta(seconds=policy.backoffSeconds) if rule.delay is None else rule.delay
    delay: timedelta = min(first * 2 ** min(times - 1, 20), LONGEST_DELAY)
    return finished + delay * _jitter(f"{who} {attempt}")


def _jitter(who: str) -> float:
    """A factor around 1 that is always the same for the same attempt."""
    part = int(digest(who)[:8], 16) / 0xFFFFFFFF
    return 1 + JITTER * (2 * part - 1)
