"""Requests that find no answer at first: which are sent again, and what is said of it."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from kubernetes.aio import client as kubernetes_client

from olive_operator.client.apiserver import ApiError, ApiServer
from olive_operator.client.connection import Connection, connect

PATH = "/api/v1/namespaces/ml/configmaps"


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, none of them really."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr("olive_operator.client.apiserver.asyncio.sleep", sleep)
    return found


class Script:
    """Answers by status, one a request; then 200."""

    def __init__(self, *answers: int, **headers: str) -> None:
        self.left, self.headers, self.asked = list(answers), headers, 0
        self.bodies: list[bytes] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.bodies.append(await request.read())
        status = self.left.pop(0) if self.left else 200
        if status == 0:
            assert request.transport
            request.transport.abort()
        message = {"message": f"said {status}", "details": {"causes": [{"reason": "Because"}]}}
        return web.json_response(message, status=status, headers=self.headers)


@asynccontextmanager
async def served(script: Script) -> AsyncIterator[Connection]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", script.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    configuration = kubernetes_client.Configuration(host=f"http://{host}:{port}")
    async with connect(configuration) as api:
        yield api
    await runner.cleanup()


async def test_half_a_character_out_of_a_pods_message_is_sent_all_the_same() -> None:
    script = Script()
    async with served(script) as api:
        await ApiServer(api).request("PUT", PATH, {"status": {"message": "step \ud800"}})
    assert script.bodies == [b'{"status": {"message": "step \\ud800"}}']


@pytest.mark.parametrize("status", [0, 429, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_request_that_finds_nobody_is_sent_again(method: str, status: int) -> None:
    script = Script(status, status)
    async with served(script) as api:
        await ApiServer(api).request(method, PATH, {"kind": "ConfigMap"})
    assert script.asked == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 500])
async def test_request_that_is_refused_is_not(status: int) -> None:
    script = Script(status)
    async with served(script) as api:
        with pytest.raises(ApiError, match=f"^{status} said {status}$") as refused:
            await ApiServer(api).request("POST", PATH, {})
    assert (script.asked, refused.value.passing) == (1, False)
    assert refused.value.causes == {"Because"}


async def test_socket_that_uvloop_still_has_in_its_books_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script, fails = Script(), ["File descriptor 19 is used by transport <TCPTransport>"]
    request = aiohttp.ClientSession.request

    async def once_too_early(session: aiohttp.ClientSession, *args: Any, **more: Any) -> Any:
        if fails:
            raise RuntimeError(fails.pop())
        return await request(session, *args, **more)

    monkeypatch.setattr(aiohttp.ClientSession, "request", once_too_early)
    async with served(script) as api:
        await ApiServer(api).request("GET", PATH)
        assert script.asked == 1
        fails.append("Session is closed")
        with pytest.raises(RuntimeError, match="closed"):
            await ApiServer(api).request("GET", PATH)


async def test_server_that_stays_away_is_an_error_after_all_tries() -> None:
    script = Script(*[503] * 9)
    async with served(script) as api:
        with pytest.raises(ApiError) as failed:
            await ApiServer(api, tries=4).request("GET", PATH)
    assert (script.asked, failed.value.passing) == (4, True)


async def test_node_that_is_silent_is_asked_once_and_says_nothing_of_the_api_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script = Script(502)
    async with served(script) as api:
        with pytest.raises(ApiError, match="502"):
            await ApiServer(api).text("GET", PATH, of_node=True)
    assert (script.asked, caplog.records) == (1, [])


async def test_retry_after_is_obeyed(waited: list[float]) -> None:
    async with served(Script(429, **{"Retry-After": "7"})) as api:
        await ApiServer(api).request("GET", PATH)
    assert 7 <= waited[0] < 8


async def test_outage_is_told_of_in_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "olive.apiserver"):
        async with served(Script(503, 503, 0, 503)) as api:
            server = ApiServer(api)
            await server.request("GET", PATH)
            await server.request("GET", PATH)
    assert [r.message for r in caplog.records] == [
        "the API server does not answer: 503 said 503; trying on",
        "the API server answers again",
    ]


async def test_every_try_of_a_write_asks_whether_it_may_be() -> None:
    asked: list[bool] = []

    def may_write() -> None:
        asked.append(True)
        if len(asked) > 1:
            raise PermissionError("not any more")

    script = Script(200, 503)
    async with served(script) as api:
        server = ApiServer(api, may_write)
        await server.request("GET", PATH)
        with pytest.raises(PermissionError, match="not any more"):
            await server.request("POST", PATH, {})
    assert script.asked == 2


async def test_answer_that_is_no_status_is_told_as_it_is() -> None:
    async def proxy(request: web.Request) -> web.Response:
        return web.Response(status=403, text="<html>go away</html>")

    script = Script()
    script.handle = proxy  # type: ignore[method-assign]
    async with served(script) as api:
        with pytest.raises(ApiError, match="403 <html>go away"):
            await ApiServer(api).request("GET", PATH)
