"""What others than clients ask, on a port of its own: probes, Prometheus and the operator."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from olive_serve.drain import Drain
from olive_serve.metrics import CONTENT_TYPE, Metrics
from olive_serve.reconcile import Reconciler


class Health:
    """The handlers, and what they tell of."""

    def __init__(self, reconciler: Reconciler, metrics: Metrics, drain: Drain) -> None:
        self._reconciler = reconciler
        self._metrics = metrics
        self._drain = drain

    async def healthz(self, request: Request) -> Response:
        """Alive: this answers, and the engine runs or can still be restarted."""
        alive = self._reconciler.alive
        body = {"alive": alive, "problem": self._reconciler.problem}
        return JSONResponse(body, 200 if alive else 503)

    async def readyz(self, request: Request) -> Response:
        """Ready: the model is loaded, its engine answers, and nobody has asked it to stop."""
        problem = self._drain.problem or self._reconciler.problem
        adapters = {status.name: status.state for status in self._reconciler.adapters()}
        body = {"ready": not problem, "problem": problem, "adapters": adapters}
        return JSONResponse(body, 503 if problem else 200)

    async def adapters(self, request: Request) -> Response:
        """Every adapter of ``serving.json``, and how it is."""
        data = [status.body() for status in self._reconciler.adapters()]
        return JSONResponse({"object": "list", "data": data})

    async def metrics(self, request: Request) -> Response:
        """In Prometheus' text format."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)


def health_application(health: Health) -> Starlette:
    """The ASGI application of the health port."""
    return Starlette(
        routes=[
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
            Route("/v1/olive/adapters", health.adapters),
        ]
    )
