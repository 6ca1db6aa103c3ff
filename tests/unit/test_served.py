"""What a serving pod says it has loaded: asked where it takes no key, and believed with care."""

from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from olive_operator.client.cluster import KubernetesCluster


def adapter(key: str, state: str) -> dict[str, Any]:
    """As images/serve tells of one (olive_serve/adapters.py)."""
    return {"name": "travel", "key": key, "state": state, "serving": None, "message": ""}


LIST = {"object": "list"}
ANSWERS: dict[str, tuple[int, str, frozenset[str] | None]] = {
    "none": (200, '{"data": []}', frozenset()),
    "no list": (200, "[]", None),
    "no JSON": (200, "Not Found", None),
    "not there": (404, "Not Found", None),
    "no state": (200, '{"data": [{"key": "k1"}]}', None),
    "too much": (200, '{"data": []}' + " " * 2**21, None),
}


async def asked(handler: Any) -> frozenset[str] | None:
    application = web.Application()
    application.router.add_get("/v1/olive/adapters", handler)
    nobody: Any = None
    async with TestServer(application) as server, aiohttp.ClientSession() as http:
        return await KubernetesCluster(nobody, http).served(f"{server.host}:{server.port}")


async def test_adapters_that_are_loaded_are() -> None:
    async def handler(_: web.Request) -> web.Response:
        data = [adapter("k1", "loaded"), adapter("k2", "loading"), adapter("k3", "failed")]
        return web.json_response({**LIST, "data": data})

    assert await asked(handler) == frozenset({"k1"})


@pytest.mark.parametrize("case", ANSWERS)
async def test_anything_else_is_no_answer(case: str) -> None:
    status, text, found = ANSWERS[case]

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    assert await asked(handler) == found


async def test_it_is_led_nowhere_else() -> None:
    async def handler(_: web.Request) -> web.Response:
        raise web.HTTPFound("/v1/elsewhere")

    assert await asked(handler) is None
