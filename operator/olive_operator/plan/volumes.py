"""A claim that one node at a time can mount: what may start, and what has to wait.

Every pod on such a claim asks the scheduler for the node of those that have it (see build/pod.py),
so no pod ever waits for a volume that cannot be attached. Here only what the scheduler cannot know:
a pod that needs another node has its turn before new ones keep the old node busy. And what it does
not look at: a pod that was kept off by its affinity is not tried again when the last of those pods
ends, but only with whatever happens next in the cluster, or after five minutes.
"""

from datetime import datetime, timedelta
from typing import Final

from olive_operator.api.seen import AttemptSeen, Seen
from olive_operator.build import StoreMount
from olive_operator.config import Config
from olive_operator.plan.graph import claim_of
from olive_operator.plan.pods import Pending
from olive_operator.plan.view import View

_YOUNG: Final = timedelta(seconds=5)
"""A pod that was just made may only not have been tried yet."""
ONE_NODE = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})


def mount(claim: str, seen: Seen, config: Config) -> StoreMount:
    """How a pod of this job has the claim's store."""
    return StoreMount(claim, on_one_node(claim, seen, config))


def on_one_node(claim: str, seen: Seen, config: Config) -> bool:
    """Whether pods on the claim have to be on one node."""
    if found := seen.claims.get(claim):
        return bool(found.accessModes) and ONE_NODE.issuperset(found.accessModes)
    storage = seen.job.spec.storage
    asked = storage.accessMode or config.storage.accessMode
    return storage.claim is None and asked in ONE_NODE


def forgotten(view: View, attempt: AttemptSeen) -> datetime | None:
    """When an attempt that the scheduler does not try again by itself is to be made anew."""
    pod = attempt.pod
    if pod is None or pod.createdAt is None or not pod.elsewhere:
        return None
    if any(holder.node for holder in view.seen.holders):
        return None
    return pod.createdAt + _YOUNG


def not_yet(view: View) -> Pending | None:
    """Why a stage that is due does not start now, if it does not."""
    if not on_one_node(claim_of(view.seen.job.spec), view.seen, view.config):
        return None
    # A sweep has time: it has no turn that others would have to wait for.
    waiting = (h for h in view.seen.holders if h.elsewhere and h.component != "sweep")
    turn = next(waiting, None)
    if turn is None or any(h.component == "serving" and h.node for h in view.seen.holders):
        return None
    return Pending(
        "VolumeBusy",
        f"pod {turn.pod} of job {turn.job} needs the volume on another node and has its turn first "
        "(the claim is ReadWriteOnce)",
    )
