"""The second loop: every store is looked at from time to time, and kept as the chart's values say.

Nothing waits for it, so it asks nobody to be told of changes: what it has to see, it sees at its
next look. It does one step at a time, and each look begins with what is there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from olive_operator import build, labels, metrics
from olive_operator.api.seen import JobSeen, Ref
from olive_operator.api.store import StoreSeen
from olive_operator.build import StoreMount
from olive_operator.client.apiserver import ApiError
from olive_operator.client.cluster import Manifest
from olive_operator.client.leader import NotLeadingError
from olive_operator.config import Config
from olive_operator.plan.clock import text
from olive_operator.plan.retention import Upkeep, upkeep
from olive_operator.reconcile.observe_store import stores
from olive_operator.watch import kinds
from olive_operator.watch.cache import Cache, JobKey

log = logging.getLogger("olive.stores")

EVERY: Final = 15.0
"""Seconds between two looks."""
SOON: Final = 1.0
"""Seconds until the next one where something was done: a sweep takes a few steps."""


class Api(Protocol):
    """What of the cluster this takes; see cluster.Cluster."""

    async def create(self, manifest: Manifest) -> Manifest | None: ...

    async def patch(self, namespace: str, ref: Ref, patch: Manifest) -> Manifest | None: ...

    async def delete(self, namespace: str, ref: Ref, uid: str) -> None: ...


class Stores:
    """Keeps the stores. ``planned``: each job with the status that its last plan wants.
    ``informed``: whether all is known that decides what may go.
    """

    def __init__(
        self,
        cache: Cache,
        cluster: Api,
        config: Config,
        planned: Mapping[JobKey, JobSeen],
        poke: Callable[[Iterable[JobKey]], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        informed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._cache, self._cluster, self._config = cache, cluster, config
        self._planned, self._poke = planned, poke
        self._informed, self._clock = informed, clock
        self._said: dict[tuple[str, str], str] = {}
        self.sizes = metrics.StoreSizes(config.store.bytes if config.store.maxSize else 0)

    async def run(self) -> None:
        """Until cancelled, which may be at any instant."""
        while True:
            done = False
            try:
                done = self._informed() and await self.look()
            except NotLeadingError as error:  # the process is about to end by it
                log.warning("the stores are left alone: %s", error)
            except Exception:
                log.exception("the stores could not be looked at; tried again in %.0f s", EVERY)
            await asyncio.sleep(SOON if done else EVERY)

    async def look(self) -> bool:
        """Decide on every store, all in one step, and then do it; whether something was done.

        No pass over a job comes between what is seen of the jobs and what is reserved for a sweep.
        """
        now = self._clock()
        seen = list(stores(self._cache, self._planned))
        decided = [(store, self._decide(store, now)) for store in seen]
        self.sizes.of = {(s.namespace, s.claim): _sizes(s) for s in seen}
        done = False
        for store, what in decided:
            done |= await self._carry_out(store, *what, now)
        return done

    def _decide(self, store: StoreSeen, now: datetime) -> tuple[Upkeep, Manifest | None]:
        """What is to be done. A sweep is known to all from here on, before it is created."""
        found = upkeep(store, self._config.store, now)
        if found.sweep is None:
            return found, None
        mount = StoreMount(store.claim, store.oneNode)
        manifest = build.sweep(store.namespace, found.sweep, mount, self._config)
        key, record = kinds.key_of(manifest), kinds.sweep(manifest)
        record = replace(record, seen=replace(record.seen, there=False))
        self._cache.put("Job", key, 0, "", record)
        return found, manifest

    async def _carry_out(
        self, store: StoreSeen, what: Upkeep, sweep: Manifest | None, now: datetime
    ) -> bool:
        """Each step by itself: one that is refused keeps no other back. Whether all were done."""
        done = failed = 0
        for step in self._steps(store, what, sweep, now):
            try:
                await step
                done += 1
            except ApiError as error:
                failed += 1
                self._tell(store, error)
        if not failed:
            self._said.pop((store.namespace, store.claim), None)
        return done > 0 and not failed

    def _steps(
        self, store: StoreSeen, what: Upkeep, sweep: Manifest | None, now: datetime
    ) -> Iterator[Awaitable[None]]:
        place = store.namespace
        for name in what.mark:
            yield self._annotate(place, name, text(now))
        for name in what.unmark:
            yield self._annotate(place, name, None)
        if sweep:
            yield self._create(sweep)
        for name in what.forget:
            yield self._forget(place, name)
        for name in what.begin:
            yield self._begin(store, name)
        for name in what.end:
            yield self._delete(place, Ref("Job", name))

    def _tell(self, store: StoreSeen, error: ApiError) -> None:
        """One line for what is refused again and again."""
        place, said = (store.namespace, store.claim), str(error)
        news = not error.passing and self._said.get(place) != said
        log.log(logging.WARNING if news else logging.DEBUG, "store %s/%s: %s", *place, said)
        if news:
            self._said[place] = said

    async def _forget(self, namespace: str, artifact: str) -> None:
        await self._delete(namespace, Ref("Artifact", artifact))
        metrics.SWEPT.labels(namespace).inc()

    async def _begin(self, store: StoreSeen, sweep: str) -> None:
        await self._patch(store.namespace, Ref("Job", sweep), {"spec": {"suspend": False}})
        log.info("sweeping store %s/%s: job %s", store.namespace, store.claim, sweep)

    async def _create(self, sweep: Manifest) -> None:
        """Where it is not known whether that was done, it is done again at the next look."""
        try:
            created = await self._cluster.create(sweep)
        except ApiError as error:
            if not error.passing:  # it will never be: its keys are free again
                self._poke(self._cache.drop("Job", kinds.key_of(sweep), 0))
            raise
        if created:
            self._known(created)

    async def _annotate(self, namespace: str, artifact: str, since: str | None) -> None:
        notes = {"annotations": {labels.UNUSED_SINCE: since}}
        await self._patch(namespace, Ref("Artifact", artifact), {"metadata": notes})

    async def _patch(self, namespace: str, ref: Ref, patch: Manifest) -> None:
        """Change the object that is known; if it is another by now, or gone, nothing."""
        if known := self._cache.get(ref.kind, (namespace, ref.name)):
            same = {"metadata": {**patch.get("metadata", {}), "uid": known.uid}}
            if changed := await self._cluster.patch(namespace, ref, {**patch, **same}):
                self._known(changed)

    async def _delete(self, namespace: str, ref: Ref) -> None:
        if known := self._cache.get(ref.kind, (namespace, ref.name)):
            await self._cluster.delete(namespace, ref, known.uid)

    def _known(self, body: dict[str, Any]) -> None:
        """As the API server has answered it: the next look need not wait for the watch."""
        kind, meta = kinds.WATCHED[body["kind"]], body["metadata"]
        version = kinds.version_of(body)
        self._cache.made(kind.name, kinds.key_of(body), version, meta["uid"], kind.record(body))


def _sizes(store: StoreSeen) -> tuple[int, int]:
    """Bytes of the artifacts that something refers to, and of the others."""
    used = sum(a.sizeBytes for a in store.artifacts if a.key in store.used)
    return used, sum(a.sizeBytes for a in store.artifacts) - used
