"""``python -m olive_serve``: put the parts together and serve until SIGTERM."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
import uvloop

from olive_contract.store import Store
from olive_serve import cgroup, config, logs
from olive_serve.api import Api
from olive_serve.app import application
from olive_serve.connection import GuardedProtocol
from olive_serve.drain import Drain
from olive_serve.engine_process import EngineProcess
from olive_serve.health import Health, health_application
from olive_serve.local_copy import LocalCopy
from olive_serve.metrics import EngineGauges, Metrics
from olive_serve.reconcile import Reconciler

LAST_BYTES: Final = 5
"""Seconds for answers that are computed but not sent yet."""


class Server(uvicorn.Server):
    """uvicorn, which leaves signals to ``main``."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: config.Config) -> None:
    """Serve what the settings say, until a signal; a second one does not wait for what runs."""
    metrics, drain = Metrics(), Drain()
    engine = EngineProcess(settings, threads=settings.threads or cgroup.cpus())
    store = Store(settings.store)
    local = LocalCopy(store, settings.local, settings.local_size_limit) if settings.local else None
    reconciler = Reconciler(
        engine, store, settings.serving, metrics, local=local, retry=settings.retry
    )
    metrics.registry.register(EngineGauges(engine, lambda: reconciler.routes))
    api = Api(engine, reconciler, metrics, drain, max_waiting=settings.max_waiting)
    health = Health(reconciler, metrics, drain)
    app = application(
        api,
        health,
        keys=settings.api_keys,
        with_page=settings.page,
        run=reconciler.run,
        close=engine.close,
    )
    main = _server(app, settings.host, settings.port)
    probes = _server(health_application(health), settings.host, settings.health_port)

    async def stop() -> None:
        await drain.finish(lambda: engine.occupancy.busy, settings.grace)
        main.should_exit = True

    stopping: list[asyncio.Task[None]] = []

    def told() -> None:
        if stopping:
            main.should_exit = True
        stopping.append(asyncio.create_task(stop()))

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told)
    answering = asyncio.create_task(probes.serve())
    gc.freeze()  # or every now and then all of it is looked through, and each stream stands still
    await main.serve()
    probes.should_exit = True
    await answering


def _server(app: Any, host: str, port: int) -> Server:
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=GuardedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=LAST_BYTES,
        )
    )


def main() -> None:
    """Serve what the arguments say."""
    settings = config.parse()
    logs.configure()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
