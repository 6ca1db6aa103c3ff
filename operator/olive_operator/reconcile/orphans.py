"""Children of jobs that are gone: Kubernetes' garbage collector deletes them, but not always.

It is late with a kind that is new to it, and may miss what was deleted while the API server came
and went (kubernetes/kubernetes#60037, #101740). An attempt that nobody wants would hold its GPU,
and keep every other job waiting for an artifact that is not to be theirs.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from olive_operator.api.seen import Ref
from olive_operator.client.cluster import Cluster
from olive_operator.watch.cache import Cache, JobKey
from olive_operator.watch.kept import AttemptRecord, ChildRecord
from olive_operator.watch.kinds import JOB

log = logging.getLogger("olive.orphans")

PATIENCE: Final = 30.0
"""Seconds for the garbage collector to do it."""
_A_LIST: Final = 5.0
"""Seconds in which a list of the jobs may come that was asked for."""


@dataclass(frozen=True)
class _Suspicion:
    """When the children of an owner were first seen without it, and the newest one's version."""

    since: float
    version: int


class Orphans:
    """Deletes what the garbage collector has left, once no list of the jobs knows its owner."""

    def __init__(
        self,
        cache: Cache,
        cluster: Cluster,
        doubt: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``doubt`` has the jobs listed: that one is not known proves nothing by itself."""
        self._cache, self._cluster, self._doubt, self._clock = cache, cluster, doubt, clock
        self._suspicions: dict[JobKey, dict[str, _Suspicion]] = {}

    async def look(self, key: JobKey, uid: str) -> float | None:
        """Seconds until the job of this name is to be looked at again; None: it has no orphans.

        ``uid``: the job's that has the name now, empty if there is none. A child without an owner
        was left on purpose, by ``kubectl delete --cascade=orphan``.
        """
        found = self._by_owner(key, uid)
        known, now = self._suspicions.pop(key, {}), self._clock()
        if not found:
            return None
        self._suspicions[key] = {
            owner: known.get(owner) or _Suspicion(now, max(self._version(key, r) for r in refs))
            for owner, refs in found.items()
        }
        return min([await self._judge(key, owner, refs, now) for owner, refs in found.items()])

    async def _judge(self, key: JobKey, owner: str, refs: list[Ref], now: float) -> float:
        suspicion = self._suspicions[key][owner]
        left = suspicion.since + PATIENCE - now
        if left > 0:
            return left
        if max(self._cache.come_to(JOB, scope) for scope in ("", key[0])) < suspicion.version:
            self._doubt()
            return _A_LIST
        self._suspicions[key][owner] = replace(suspicion, since=now)  # what goes takes a while
        await asyncio.gather(*(self._delete(key, ref) for ref in refs))
        return PATIENCE

    async def _delete(self, key: JobKey, ref: Ref) -> None:
        if known := self._cache.get(ref.kind, (key[0], ref.name)):
            log.info("%s/%s: its %s %s is left over; deleted", *key, ref.kind, ref.name)
            await self._cluster.delete(key[0], ref, known.uid)

    def _by_owner(self, key: JobKey, uid: str) -> dict[str, list[Ref]]:
        attempts: list[AttemptRecord] = list(self._cache.at("attempts", key).values())
        children: list[ChildRecord] = list(self._cache.at("children", key).values())
        owned = [(a.owner, Ref("Job", a.seen.name)) for a in attempts if not a.seen.deleting]
        owned += [(c.owner, c.ref) for c in children]
        found: dict[str, list[Ref]] = {}
        for owner, ref in owned:
            if owner not in ("", uid):
                found.setdefault(owner, []).append(ref)
        return found

    def _version(self, key: JobKey, ref: Ref) -> int:
        known = self._cache.get(ref.kind, (key[0], ref.name))
        return known.version if known else 0
