"""The OptimizationJobs: kopf watches them, in a thread of its own, and the cache has their records.

kopf ends at an error of its watch that it does not know, and takes everything along that was
started in its event loop. So the loop is its own, and it is begun again.
"""

import asyncio
import dataclasses
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import kopf
import uvloop
from kopf._cogs.structs.references import Insights  # what operator() takes, named nowhere else

from olive_operator import labels
from olive_operator.client.apiserver import ApiError, ApiServer, Body
from olive_operator.scheduling.backoff import Backoff
from olive_operator.watch import handlers, informer, kinds
from olive_operator.watch.cache import Cache
from olive_operator.watch.informer import Poke
from olive_operator.watch.kinds import JOB, JOBS

log = logging.getLogger("olive.jobs")

_CALM_SECONDS: Final = 1.0
"""Between a doubt and the list that ends it: doubts come in flocks."""
_STUCK_SECONDS: Final = 30.0
_KOPF_WORKERS: Final = 16
_STACK_BYTES: Final = 64 * 2**20
"""Of kopf's thread: the API server takes objects that are nested ten thousand deep."""
_LONGEST_SECONDS: Final = 3600.0
"""Between two lists: kopf may find nothing where it lists anew, and then it says nothing at all."""


class Jobs:
    """Keeps the cache's OptimizationJobs. ``liveness`` is the URL of kopf's probe endpoint."""

    def __init__(
        self,
        server: ApiServer,
        namespaces: tuple[str, ...],
        cache: Cache,
        poke: Poke,
        liveness: str | None,
    ) -> None:
        self._server, self._namespaces, self._cache, self._poke = server, namespaces, cache, poke
        self._liveness = liveness
        self._loop = asyncio.get_running_loop()
        self._beat = time.monotonic()
        self._doubted = asyncio.Event()
        self._ended = threading.Event()
        self._kopf: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None
        self.listed = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled."""
        usual = threading.stack_size(_STACK_BYTES)
        threading.Thread(target=self._watch, name="kopf", daemon=True).start()
        threading.stack_size(usual)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._live())
                group.create_task(self._list())
        finally:
            self._ended.set()
            if self._kopf:
                loop, task = self._kopf
                with suppress(RuntimeError):  # it is between two beginnings
                    loop.call_soon_threadsafe(task.cancel)

    def doubt(self) -> None:
        """A job may be gone without a word: kopf does not tell what was deleted while it could not
        watch. It has listed anew, or another watch had to, or a write did not find its job."""
        self._doubted.set()

    async def _list(self) -> None:
        """List once what kopf then tells changes of; and again what it does not tell."""
        await self._of_each_namespace(informer.list_all)
        self.listed.set()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_SECONDS):  # wait_for may lose a cancellation
                    await self._doubted.wait()
            await asyncio.sleep(_CALM_SECONDS)
            self._doubted.clear()
            await self._of_each_namespace(informer.forget_gone)

    async def _of_each_namespace(self, ask: Callable[..., Awaitable[object]]) -> None:
        backoff = Backoff(0.2, 30)
        left = list(self._namespaces or ("",))
        while left:
            try:
                await ask(self._server, JOBS, left[0], self._cache, self._poke)
                left.pop(0)
            except (ApiError, ValueError, informer.GoneError) as error:
                if not backoff.failures:
                    log.warning("listing the jobs: %s; trying on", error)
                await asyncio.sleep(backoff.next())

    async def _live(self) -> None:
        while True:
            self._beat = time.monotonic()
            await asyncio.sleep(1)

    def _take(self, what: str | None, body: Body) -> None:
        """In our own loop: what kopf has told."""
        if what is None:  # kopf has listed, and not only watched
            self.doubt()
        key, version = kinds.key_of(body), kinds.version_of(body)
        known = self._cache.get(JOB, key)
        if what == "DELETED":
            self._poke(self._cache.drop(JOB, key, version))
        elif known is None or known.version < version:
            record = kinds.job(body, known.record if known else None)
            self._poke(self._cache.put(JOB, key, version, body["metadata"]["uid"], record))

    # In kopf's thread

    def _watch(self) -> None:
        backoff = Backoff(1, 30)
        while not self._ended.is_set():
            started = time.monotonic()
            try:
                uvloop.run(self._operator())
            except asyncio.CancelledError:
                return
            except Exception as error:
                causes = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
                for cause in causes:
                    log.warning("kopf: %s: %s; begun again", type(cause).__name__, cause)
            if time.monotonic() - started > 60:
                backoff.reset()
            self._ended.wait(backoff.next())

    async def _operator(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_told_of_error)
        if task := asyncio.current_task():
            self._kopf = loop, task
        if self._ended.is_set():
            return
        self._loop.call_soon_threadsafe(self.doubt)
        registry = kopf.OperatorRegistry()
        kopf.on.startup(registry=registry)(_configure)
        kopf.on.login(registry=registry)(_login)
        handlers.register(registry, self._tell, self._alive)
        insights = Insights()
        async with asyncio.TaskGroup() as group:
            group.create_task(_finds_jobs(insights))
            await kopf.operator(
                registry=registry,
                insights=insights,
                standalone=True,
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                liveness_endpoint=self._liveness,
            )

    def _tell(self, what: str | None, body: Body) -> None:
        with suppress(RuntimeError):  # the process ends: its loop may be closed before this one is
            self._loop.call_soon_threadsafe(self._take, what, body)

    def _alive(self) -> bool:
        """Whether the loop in which the work is done still turns."""
        return time.monotonic() - self._beat < _STUCK_SECONDS


def _told_of_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """kopf's watch, where it ends in the middle of an event, complains of being closed. It is."""
    if "asyncgen" in context:
        log.debug("kopf's loop ends: %s: %s", context["message"], context.get("exception"))
    else:
        loop.default_exception_handler(context)


class NoSuchKindError(Exception):
    """The API server does not know OptimizationJobs, or not yet: it tells of CRDs some time after
    it has begun to answer."""


async def _finds_jobs(insights: Insights) -> None:
    """kopf looks once for what there is to watch; where it finds nothing, it idles for ever."""
    await insights.ready_resources.wait()
    if not insights.watched_resources:
        raise NoSuchKindError(f"the API server knows no optimizationjobs.{labels.GROUP}")


async def _configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = 300
    settings.watching.chunk_size = informer.PAGE
    settings.process.ultimate_exiting_timeout = None
    settings.persistence.diffbase_storage = _NoDiffs()
    # Otherwise every job that is listed has a task of its own, for five seconds, all at once.
    settings.queueing.worker_limit = _KOPF_WORKERS
    settings.queueing.idle_timeout = 0.01


class _NoDiffs(kopf.DiffBaseStorage):
    """kopf would copy every job at every change of its status, to compare it with nothing."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        pass


async def _login(**given: Any) -> kopf.ConnectionInfo | None:
    """Credentials for kopf. Its default would import the client's blocking half as well."""
    if not in_cluster():
        return kopf.login_with_kubeconfig(**given)
    found = kopf.login_with_service_account(**given)
    # By address, as every other client: the operator must not need the cluster's DNS.
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    address = f"[{host}]" if ":" in host else host
    return found and dataclasses.replace(found, server=f"https://{address}:{port}")


def in_cluster() -> bool:
    """Whether this process runs in a pod."""
    return "KUBERNETES_SERVICE_HOST" in os.environ
