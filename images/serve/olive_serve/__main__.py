"""``python -m olive_serve``: put the parts together and serve until SIGTERM."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator

import uvicorn

from olive_contract.store import Store
from olive_serve import cgroup, config, logs
from olive_serve.app import Api, application
from olive_serve.engine_process import EngineProcess
from olive_serve.metrics import EngineGauges, Metrics
from olive_serve.reconcile import Reconciler


class Server(uvicorn.Server):
    """uvicorn, which a signal drains and lets end with status 0 instead of the signal's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.handle_exit, number, None)
        yield


def main() -> None:
    """Serve what the arguments say."""
    settings = config.parse()
    logs.configure()
    metrics = Metrics()
    engine = EngineProcess(settings, threads=settings.threads or cgroup.cpus())
    reconciler = Reconciler(
        engine, Store(settings.store), settings.serving, metrics, retry=settings.retry
    )
    metrics.registry.register(EngineGauges(engine, lambda: reconciler.routes))
    api = Api(engine, reconciler, metrics, max_waiting=settings.max_waiting)
    server = Server(
        uvicorn.Config(
            application(api, reconciler.run, engine.close),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.grace,
        )
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server.run()


if __name__ == "__main__":
    main()
