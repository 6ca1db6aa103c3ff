"""What to do about a failed attempt, by its class. The table is the policy; it is pure data.

A disruption is nobody's fault: it never counts against the limit. What cannot come right by itself
(a source that does not exist, data that is malformed) is not tried again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from olive_contract.failures import FailureClass as F
from olive_operator.config import Retry

LONGEST_DELAY: Final = 600
"""Seconds between two attempts at most."""


@dataclass(frozen=True)
class Rule:
    """``again``: try again; ``counts``: against the limit of the job's retries."""

    again: bool
    counts: bool
    advice: str


_ANNOTATE = "annotate the job: olive-operator.io/retry=<any new value>"
_FIX_SPEC = f"correct the spec and the job goes on by itself; if it stays as it is, {_ANNOTATE}"

POLICY: Final[Mapping[F, Rule]] = {
    F.EVICTED: Rule(True, False, "the node was drained or lost; it is done again"),
    F.PREEMPTED: Rule(True, False, "a pod of higher priority took its place; it is done again"),
    F.CANCELLED: Rule(True, False, "the pod was told to stop; it is done again"),
    F.GPU_FAULT: Rule(True, True, "look at the node's GPU"),
    F.GPU_OUT_OF_MEMORY: Rule(True, True, "lower batchSize or maxLength, or name larger GPUs"),
    F.OUT_OF_MEMORY: Rule(True, True, "raise the memory limit of stages in the chart's values"),
    F.DISK_FULL: Rule(True, True, "enlarge the claim or delete artifacts that nobody needs"),
    F.INPUT_MISSING: Rule(True, True, "the missing artifact is made again"),
    F.STAGE_ERROR: Rule(True, True, "read the pod's log"),
    F.TIMEOUT: Rule(True, True, "read the pod's log"),
    F.IMAGE_PULL: Rule(True, True, "check the image's name and the pull secrets"),
    F.AUTH_DENIED: Rule(
        False,
        True,
        f"correct the credentials in the secret, then {_ANNOTATE}",
    ),
    F.SOURCE_NOT_FOUND: Rule(False, True, _FIX_SPEC),
    F.INVALID_INPUT: Rule(False, True, _FIX_SPEC),
}


def retry_at(
    failure: F, failures: int, attempt: int, policy: Retry, finished: datetime
) -> datetime | None:
    """When to try again, or None if it is not to be tried.

    ``failures`` are those that count, this one included; ``attempt`` is the number of the one that
    failed. The delay doubles with each. A first disruption costs no delay; a node that evicts again
    and again does.
    """
    rule = POLICY[failure]
    if not rule.again or (rule.counts and failures > policy.limit):
        return None
    times = failures if rule.counts else attempt - 1
    if times == 0:
        return finished
    seconds = min(policy.backoffSeconds * 2 ** min(times - 1, 20), LONGEST_DELAY)
    return finished + timedelta(seconds=seconds)
