"""One kind of objects, listed and then watched for ever, so that the cache has what is there.

However a watch ends, it is resumed where it was; where the API server no longer knows that place,
the kind is listed again, and what is gone by then is told as well. The protocol is Kubernetes':
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Protocol

from olive_operator import metrics
from olive_operator.client.apiserver import JSON, ApiError, ApiServer, Body
from olive_operator.scheduling.backoff import Backoff
from olive_operator.watch.cache import Cache, JobKey, ObjectKey
from olive_operator.watch.kinds import Kind, key_of, version_of

log = logging.getLogger("olive.informer")

PAGE = 250
"""Objects at a time: what a page takes, decoded, stays with the process."""
_SHORTEST_WATCH = 300
"""Seconds after which the server ends a watch; up to twice that, so that not all end at once."""
_SILENCE = 80.0
"""Seconds without a line after which a watch is taken for dead: bookmarks come every 60."""
_TAKEN = 0.25
"""Seconds after which a watch that was taken goes on: one that begins too late is taken, and ended
with its first line; and what it had missed has come by then."""
_LONGEST = 10.0
"""Seconds between two tries."""

_CALM = 1.0
"""Seconds that news may wait for more of their kind: a pod comes to run in five steps."""


class Poke(Protocol):
    """Have these jobs looked at, at once or in so many seconds."""

    def __call__(self, keys: Iterable[JobKey], after: float = 0.0) -> None: ...


class HistoryLostError(Exception):
    """The API server has gone back in time (an etcd restored): nothing that is known holds."""


class GoneError(Exception):
    """The place from which to resume is no longer known: list again."""


class Watcher:
    """Keeps the cache's records of a kind, in one namespace or (if empty) in all of them.

    ``broken`` is called when the watch could not go on where it was. ``listed`` is set once the
    cache has had them all, ``follows`` as long as changes are told (one that the server ends as it
    should is resumed at once); ``turned`` is called whenever that begins or ends.
    """

    def __init__(
        self,
        server: ApiServer,
        kind: Kind,
        namespace: str,
        cache: Cache,
        poke: Poke,
        broken: Callable[[], None] = lambda: None,
        turned: Callable[[], None] = lambda: None,
    ) -> None:
        self._server, self.kind, self._namespace = server, kind, namespace
        self._cache, self._poke, self._broken, self._turned = cache, poke, broken, turned
        self._version = 0
        self._backoff = Backoff(0.2, _LONGEST)
        self.listed, self.follows = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. HistoryLostError if the process has to begin anew."""
        while True:
            try:
                if not self._version:
                    self._version = await list_all(
                        self._server, self.kind, self._namespace, self._cache, self._poke
                    )
                    self.listed.set()
                await self._watch()
            except GoneError:
                self._turn(False)
                self._version = 0
                self._broken()
                metrics.RELISTS.labels(self.kind.name).inc()
                await asyncio.sleep(self._backoff.next())
            except (ApiError, ValueError) as error:
                await self._wait(error)

    async def _wait(self, error: ApiError | ValueError) -> None:
        """One line when it begins to fail, not one for every try."""
        self._turn(False)
        level = logging.DEBUG if self._backoff.failures else logging.WARNING
        log.log(level, "watching %s: %s; trying on", self.kind.collection(self._namespace), error)
        asked = error.retry_after if isinstance(error, ApiError) else 0.0
        await asyncio.sleep(self._backoff.next(asked))

    async def _watch(self) -> None:
        """The changes since the last one, until the server ends the watch."""
        seconds = random.randint(_SHORTEST_WATCH, 2 * _SHORTEST_WATCH)  # noqa: S311
        query = [
            *_selected(self.kind),
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", str(self._version)),
            ("timeoutSeconds", str(seconds)),
        ]
        path = self.kind.collection(self._namespace)
        accept = _accept(self.kind, "PartialObjectMetadata")
        came, taken = False, list[asyncio.TimerHandle]()

        def opened() -> None:
            taken.append(asyncio.get_running_loop().call_later(_TAKEN, self._goes_on))

        try:
            events = self._server.stream(path, query, accept, _SILENCE, opened)
            async for event in events:
                self._take(event)
                came = True
                self._backoff.reset()
        except ApiError as error:
            if error.status == 410 or "ResourceVersionTooLarge" in error.causes:
                raise GoneError from error
            raise
        finally:
            for handle in taken:
                handle.cancel()
        if not came:
            self._turn(False)
            # A server that ends every watch at once must not be asked again at once.
            await asyncio.sleep(self._backoff.next())

    def _goes_on(self) -> None:
        self._backoff.reset()
        self._turn(True)

    def _turn(self, follows: bool) -> None:
        if follows == self.follows.is_set():
            return
        if follows:
            self.follows.set()
        else:
            self.follows.clear()
        self._turned()

    def _take(self, event: Body) -> None:
        what, body = event["type"], event["object"]
        if what == "ERROR":
            raise ApiError.told(body)
        name, scope, version = self.kind.name, self._namespace, version_of(body)
        if what == "DELETED":
            self._poke(self._cache.drop(name, key_of(body), version))
        elif what != "BOOKMARK":
            self._put(body)
        self._cache.seen(name, scope, version)
        self._version = version

    def _put(self, body: Body) -> None:
        put(self.kind, body, self._cache, self._poke)


async def list_all(server: ApiServer, kind: Kind, namespace: str, cache: Cache, poke: Poke) -> int:
    """Bring the cache to what is there; the version of which that is true."""
    there: set[ObjectKey] = set()
    version = 0
    async for page in _pages(server, kind, namespace):
        version = version_of(page)
        if version < cache.come_to(kind.name, namespace):
            raise HistoryLostError(
                f"{kind.name}: the API server is at version {version}, and was further before"
            )
        for body in page["items"] or ():  # null where only metadata is asked for, and none is there
            _follows(kind, body, version, cache)
            there.add(key_of(body))
            put(kind, body, cache, poke)
    poke(cache.keep(kind.name, namespace, there, version))
    return version


async def forget_gone(
    server: ApiServer, kind: Kind, namespace: str, cache: Cache, poke: Poke
) -> None:
    """Forget what is not there any more; nothing else of what is found is looked at."""
    there: set[ObjectKey] = set()
    version = 0
    async for page in _pages(server, replace(kind, slim=True), namespace):
        version = version_of(page)
        for body in page["items"] or ():
            _follows(kind, body, version, cache)
            there.add(key_of(body))
    poke(cache.keep(kind.name, namespace, there, version))


def _follows(kind: Kind, body: Body, version: int, cache: Cache) -> None:
    """HistoryLostError if the object is older in a list than it was before.

    An etcd that is restored as it should be (etcdutl --bump-revision) goes on counting where nobody
    has been yet, but what is in it has the versions that it had.
    """
    known = cache.get(kind.name, key_of(body))
    if known and version_of(body) < known.version <= version:
        raise HistoryLostError(
            f"{kind.name} {'/'.join(key_of(body))}: the API server has version {version_of(body)}, "
            f"and had {known.version} before"
        )


async def _pages(server: ApiServer, kind: Kind, namespace: str) -> AsyncIterator[Body]:
    """A list in parts, all of the version of the first."""
    after = ""
    while True:
        page = await _page(server, kind, namespace, after)
        yield page
        after = page["metadata"].get("continue", "")
        if not after:
            return


def put(kind: Kind, body: Body, cache: Cache, poke: Poke) -> None:
    """Keep the record of one object, if it is news."""
    key, version, uid = key_of(body), version_of(body), body["metadata"]["uid"]
    known = cache.get(kind.name, key)
    if known and known.version >= version:
        return
    try:
        record = kind.record(body)
    except Exception as error:
        # Somebody else's, under our labels, and anything. It must not keep us from all that follow.
        log.warning("%s %s/%s is none of ours: %r", kind.name, *key, error)
        return
    poke(cache.put(kind.name, key, version, uid, record), 0.0 if record.urgent else _CALM)


async def _page(server: ApiServer, kind: Kind, namespace: str, after: str) -> Body:
    query = [*_selected(kind), ("limit", str(PAGE)), *([("continue", after)] if after else [])]
    accept = _accept(kind, "PartialObjectMetadataList")
    try:
        return await server.request("GET", kind.collection(namespace), query=query, accept=accept)
    except ApiError as error:
        if error.status == 410:
            raise GoneError("the pages that follow are no longer known") from error
        raise


def _selected(kind: Kind) -> list[tuple[str, str]]:
    return [("labelSelector", kind.selector)] if kind.selector else []


def _accept(kind: Kind, partial: str) -> str:
    return f"{JSON};as={partial};g=meta.k8s.io;v=v1" if kind.slim else JSON
