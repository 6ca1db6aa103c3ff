"""A watch against an API server that answers as told: what ends it, and what it asks for then."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client as kubernetes_client

from olive_operator.client.apiserver import ApiServer
from olive_operator.client.connection import connect
from olive_operator.watch import informer
from olive_operator.watch.cache import Cache, JobKey
from olive_operator.watch.informer import HistoryLostError, Watcher
from olive_operator.watch.kinds import WATCHED, key_of

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
CLAIM = WATCHED["PersistentVolumeClaim"]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("olive_operator.scheduling.backoff.random.uniform", lambda low, high: 0.0)


def claim(name: str, version: int, mode: str = "ReadWriteMany") -> dict[str, Any]:
    meta = {"name": name, "namespace": "ml", "uid": name, "resourceVersion": str(version)}
    return {"metadata": meta, "spec": {"accessModes": [mode]}}


def listed(version: int, *claims: dict[str, Any], after: str = "") -> Answer:
    """A list, or a page of it."""
    meta = {"resourceVersion": str(version), **({"continue": after} if after else {})}

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"metadata": meta, "items": list(claims)})

    return answer


def watched(*events: tuple[str, dict[str, Any]], then: str = "ends", after: float = 0.0) -> Answer:
    """A watch that brings events, the first so many seconds after it was taken, as an API server
    does that is busy; and then ends, hangs, or breaks off in the middle of a line."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        if after:
            await asyncio.sleep(after)
        for what, body in events:
            await response.write(json.dumps({"type": what, "object": body}).encode() + b"\n")
        if then == "hangs":
            await asyncio.Event().wait()
        if then == "breaks off":
            await response.write(b'{"type": "MODIFIED", "obj')
            assert request.transport
            request.transport.abort()
        return response

    return answer


def raw(text: str) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    return answer


def refused(status: int, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        body = {"kind": "Status", "code": status, "message": "no"}
        return web.json_response(body, status=status, headers=headers)

    return answer


def told(code: int) -> tuple[str, dict[str, Any]]:
    """An error within the stream of a watch."""
    return "ERROR", {"kind": "Status", "code": code, "message": "no"}


class Told:
    """What was asked of the server, and what the watch has made of its answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cache = Cache()
        self.poked: list[JobKey] = []
        self.all_answered = asyncio.Event()

    def poke(self, keys: Iterable[JobKey], after: float = 0.0) -> None:
        self.poked.extend(keys)

    def claims(self) -> dict[str, str]:
        found = {key[1]: self.cache.get(CLAIM.name, key) for key in self.cache.keys(CLAIM.name)}
        return {n: known.record.seen.accessModes[0] for n, known in found.items() if known}


@asynccontextmanager
async def scripted(answers: Iterable[Answer]) -> AsyncIterator[tuple[Told, ApiServer]]:
    """A server that gives these answers, one a request; a request beyond them hangs."""
    found, left = Told(), list(answers)

    async def handle(request: web.Request) -> web.StreamResponse:
        query = request.query
        what = "watch" if query.get("watch") else "list"
        place = query.get("resourceVersion") or query.get("continue") or ""
        found.asked.append(f"{what} {place}".strip())
        if left:
            return await left.pop(0)(request)
        found.all_answered.set()
        return await watched(then="hangs")(request)

    app = web.Application()
    app.router.add_get("/{rest:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    configuration = kubernetes_client.Configuration(host=f"http://{host}:{port}")
    async with connect(configuration) as api:
        yield found, ApiServer(api, tries=1)
    await runner.cleanup()


async def watch(*answers: Answer) -> Told:
    """Watch claims until all answers are given and one more was asked for."""
    async with scripted(answers) as (found, server):
        watcher = Watcher(server, CLAIM, "", found.cache, found.poke)
        running = asyncio.create_task(watcher.run())
        async with asyncio.timeout(20):
            waiting = asyncio.create_task(found.all_answered.wait())
            await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    return found


async def test_pages_of_a_list_are_one_list_and_the_watch_begins_behind_it() -> None:
    found = await watch(
        listed(7, claim("a", 1), after="more"), listed(7, claim("b", 2)), watched(then="ends")
    )
    assert found.asked[:3] == ["list", "list more", "watch 7"]
    assert found.claims() == {"a": "ReadWriteMany", "b": "ReadWriteMany"}


async def test_changes_are_kept_and_the_next_watch_goes_on_behind_the_last() -> None:
    found = await watch(
        listed(7, claim("a", 1), claim("b", 2)),
        watched(
            ("MODIFIED", claim("a", 8, "Lost")),
            ("DELETED", claim("b", 9)),
            ("ADDED", claim("c", 10, "Pending")),
        ),
    )
    assert found.asked == ["list", "watch 7", "watch 10"]
    assert found.claims() == {"a": "Lost", "c": "Pending"}


async def test_bookmark_moves_the_place_to_go_on_from() -> None:
    mark = {"metadata": {"resourceVersion": "99", "creationTimestamp": None}}
    found = await watch(listed(7), watched(("BOOKMARK", mark)))
    assert found.asked[-1] == "watch 99"


@pytest.mark.parametrize(
    "end",
    [
        watched(("ADDED", claim("a", 8)), told(500)),
        watched(("ADDED", claim("a", 8)), then="breaks off"),
        watched(("ADDED", claim("a", 8)), told(429)),
    ],
    ids=["an error of the server", "a connection that breaks", "too many requests"],
)
async def test_watch_is_resumed_where_it_was_after(end: Answer) -> None:
    found = await watch(listed(7), end)
    assert found.asked == ["list", "watch 7", "watch 8"]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_refused_watch_is_tried_again_from_the_same_place(status: int) -> None:
    found = await watch(listed(7), refused(status), refused(status))
    assert found.asked == ["list", "watch 7", "watch 7", "watch 7"]


async def test_retry_after_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("olive_operator.watch.informer.asyncio.sleep", sleep)
    await watch(listed(7), refused(429, **{"Retry-After": "17"}))
    assert 17 in waited


@pytest.mark.parametrize(
    "gone", [watched(told(410)), refused(410)], ids=["told in the stream", "refused"]
)
async def test_place_that_is_no_longer_known_leads_to_a_list_that_tells_what_is_gone(
    gone: Answer,
) -> None:
    found = await watch(listed(7, claim("a", 1), claim("b", 2)), gone, listed(20, claim("b", 2)))
    assert found.asked == ["list", "watch 7", "list", "watch 20"]
    assert found.claims() == {"b": "ReadWriteMany"}


async def test_list_whose_pages_are_no_longer_known_begins_anew() -> None:
    found = await watch(
        listed(7, claim("a", 1), after="more"), refused(410), listed(9, claim("b", 2))
    )
    assert found.asked == ["list", "list more", "list", "watch 9"]
    assert found.claims() == {"b": "ReadWriteMany"}


async def test_object_that_cannot_be_read_keeps_nobody_from_those_behind_it() -> None:
    odd = claim("odd", 8)
    odd["spec"] = ["not", "an", "object"]
    found = await watch(listed(7), watched(("ADDED", odd), ("ADDED", claim("b", 9))))
    assert found.asked[-1] == "watch 9"
    assert found.claims() == {"b": "ReadWriteMany"}


async def test_silent_watch_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "_SILENCE", 0.05)
    found = await watch(listed(7), watched(then="hangs"))
    assert found.asked == ["list", "watch 7", "watch 7"]


async def test_only_jobs_that_wait_are_poked() -> None:
    async with scripted([listed(7, claim("a", 1))]) as (found, server):
        found.cache.waits(("ml", "travel"), frozenset({"claim a"}))
        found.cache.waits(("ml", "food"), frozenset({"claim b"}))
        await informer.list_all(server, CLAIM, "", found.cache, found.poke)
    assert found.poked == [("ml", "travel")]


async def test_server_that_has_gone_back_in_time_ends_the_process() -> None:
    async with scripted([listed(7), watched(told(410)), listed(5)]) as (found, server):
        with pytest.raises(HistoryLostError, match="at version 5, and was further before"):
            await Watcher(server, CLAIM, "", found.cache, found.poke).run()


async def test_server_that_goes_on_counting_but_has_older_objects_ends_the_process() -> None:
    """An etcd that was restored as it should be, with a bumped revision."""
    before, restored = listed(7, claim("a", 6)), listed(1_000_007, claim("a", 3, "Pending"))
    async with scripted([before, watched(told(410)), restored]) as (found, server):
        with pytest.raises(HistoryLostError, match="ml/a: the API server has version 3, and had 6"):
            await Watcher(server, CLAIM, "", found.cache, found.poke).run()
    async with scripted([before, restored]) as (found, server):
        await informer.list_all(server, CLAIM, "", found.cache, found.poke)
        with pytest.raises(HistoryLostError):
            await informer.forget_gone(server, CLAIM, "", found.cache, found.poke)


async def test_object_that_is_nested_deeper_than_a_parser_goes_keeps_none_from_the_others() -> None:
    """The API server takes ten thousand levels, in a spec that keeps what it does not know."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    bound = json.dumps(claim("b", 2))
    text = f"""{{"metadata": {{"resourceVersion": "7"}}, "items": [
        {json.dumps(claim("a", 1))[:-1]}, "status": {deep}}}, {bound}]}}"""
    found = await watch(raw(text), watched(("ADDED", claim("c", 8))))
    sys.setrecursionlimit(usual)
    assert found.claims() == {"a": "ReadWriteMany", "b": "ReadWriteMany", "c": "ReadWriteMany"}


async def test_object_that_cannot_be_read_keeps_none_from_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody may put our label on anything."""

    def served(body: Any) -> Any:
        raise RecursionError(body["metadata"]["name"])

    kind = replace(CLAIM, record=lambda b: served(b) if key_of(b)[1] == "bad" else CLAIM.record(b))
    async with scripted([listed(7, claim("bad", 1), claim("good", 2))]) as (found, server):
        await informer.list_all(server, kind, "", found.cache, found.poke)
    assert found.claims() == {"good": "ReadWriteMany"}
    assert "ml/bad is none of ours: RecursionError" in caplog.text


async def test_it_follows_only_while_the_server_has_taken_its_watch() -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        asked.set()
        await gate.wait()
        return await watched(then="hangs")(request)

    news = watched(("ADDED", claim("data", 2)), then="breaks off")
    async with scripted([listed(1), news, held]) as (found, server), asyncio.timeout(20):
        watcher = Watcher(server, CLAIM, "", found.cache, found.poke)
        running = asyncio.create_task(watcher.run())
        await asked.wait()
        assert watcher.listed.is_set()
        assert not watcher.follows.is_set()
        gate.set()
        await watcher.follows.wait()
        running.cancel()


async def turns(script: Sequence[Answer], count: int) -> list[tuple[bool, set[str]]]:
    """The first times that a watch begins to be followed or ends to be, and what was known then."""
    found_at: list[tuple[bool, set[str]]] = []
    enough = asyncio.Event()
    async with scripted(script) as (found, server), asyncio.timeout(20):

        def turned() -> None:
            found_at.append((watcher.follows.is_set(), set(found.claims())))
            if len(found_at) == count:
                enough.set()

        watcher = Watcher(server, CLAIM, "", found.cache, found.poke, turned=turned)
        running = asyncio.create_task(watcher.run())
        await enough.wait()
        running.cancel()
    return found_at


async def test_a_watch_that_begins_too_late_is_taken_but_not_followed() -> None:
    """Else what came to be before the list would look as if it were not there."""
    too_late = watched(told(410), after=informer._TAKEN / 3)
    script = [listed(1), too_late, listed(9, claim("data", 5)), watched(then="hangs")]
    assert await turns(script, 1) == [(True, {"data"})]


async def test_what_was_missed_is_told_before_a_watch_is_followed() -> None:
    missed = [("ADDED", claim(f"data-{n}", n + 2)) for n in range(50)]
    script = [listed(1), watched(*missed, then="hangs")]
    assert await turns(script, 1) == [(True, {body["metadata"]["name"] for _, body in missed})]


async def test_a_watch_that_ends_as_it_should_is_followed_meanwhile() -> None:
    """Each ends after some minutes: nobody has to wait for that."""
    asked = asyncio.Event()
    ends_later = watched(("ADDED", claim("data", 2)), after=2 * informer._TAKEN)

    async def held(request: web.Request) -> web.StreamResponse:
        asked.set()
        return await watched(then="hangs")(request)

    async with scripted([listed(1), ends_later, held]) as (found, server), asyncio.timeout(20):
        turned: list[bool] = []
        watcher = Watcher(
            server, CLAIM, "", found.cache, found.poke, turned=lambda: turned.append(True)
        )
        running = asyncio.create_task(watcher.run())
        await asked.wait()
        assert (watcher.follows.is_set(), len(turned)) == (True, 1)
        running.cancel()
