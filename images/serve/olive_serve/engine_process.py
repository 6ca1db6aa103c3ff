"""The engine as a child process: started, listened to, and killed if it hangs.

Messages are JSON lines over its standard input and output (``messages``). Whoever waits for an
answer when the child dies gets EngineUnavailable; nothing waits for ever.
"""

import asyncio
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from olive_serve import messages as m
from olive_serve.config import Config
from olive_serve.engine import (
    AdapterRefused,
    EngineUnavailable,
    GenerationRequest,
    Occupancy,
)
from olive_serve.generation import ProcessGeneration
from olive_serve.logs import fields

log = logging.getLogger(__name__)

LINE_LIMIT: Final = 1 << 20
"""Bytes of one event; the longest is an error text."""


class EngineProcess:
    """An ``engine.Engine`` in ``python -m olive_serve.worker``."""

    def __init__(self, config: Config, threads: int) -> None:
        self._config = config
        self._threads = threads
        self._ids = count()
        self._child: Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._watchdog: asyncio.Task[None] | None = None
        self._heard = 0.0
        self._ending = False
        self._gone = "the model is not loaded yet"
        self._generations: dict[int, ProcessGeneration] = {}
        self._loading: dict[str, asyncio.Future[None]] = {}
        self._started: asyncio.Future[int] | None = None
        self._kv_cache_usage = 0.0
        self._adapters: frozenset[str] = frozenset()
        self.max_model_len = 0

    @property
    def ready(self) -> bool:
        return self.max_model_len > 0 and self._silence < self._config.engine_timeout

    @property
    def adapters(self) -> frozenset[str]:
        return self._adapters

    @property
    def occupancy(self) -> Occupancy:
        going = self._generations.values()
        return Occupancy(
            running=tuple(g.request.adapter for g in going if g.started),
            waiting=tuple(g.request.adapter for g in going if not g.started),
            kv_cache_usage=self._kv_cache_usage,
        )

    async def start(self, model: Path) -> None:
        await self._end()
        self._gone = "the model is being loaded"
        self._started = asyncio.get_running_loop().create_future()
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "olive_serve.worker"),
            *("--model", str(model)),
            *("--threads", str(self._threads)),
            *("--max-model-len", str(self._config.max_model_len)),
            *("--max-running", str(self._config.max_running)),
            stdin=PIPE,
            stdout=PIPE,
            limit=LINE_LIMIT,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
        )
        self._listener = asyncio.create_task(self._listen(self._child))
        try:
            async with asyncio.timeout(self._config.load_timeout):
                self.max_model_len = await self._started
        except TimeoutError:
            await self._end()
            self._gone = f"the model did not load in {self._config.load_timeout:g} seconds"
            raise EngineUnavailable(self._gone) from None
        self._watchdog = asyncio.create_task(self._kill_if_silent(self._child))
        log.info("engine ready", extra=fields(pid=self._child.pid, threads=self._threads))

    async def load_adapter(self, key: str, file: Path) -> None:
        self._loading[key] = answer = asyncio.get_running_loop().create_future()
        try:
            self._send(m.LoadAdapter(key, str(file)))
            await answer
        finally:
            self._loading.pop(key, None)

    def unload_adapter(self, key: str) -> None:
        self._adapters -= {key}
        self._send(m.UnloadAdapter(key))

    def submit(self, request: GenerationRequest) -> ProcessGeneration:
        if not self.ready:
            raise EngineUnavailable(self._gone or "the engine does not answer")
        id = next(self._ids)
        self._send(m.Generate(id, request))
        generation = self._generations[id] = ProcessGeneration(request, partial(self._forget, id))
        return generation

    async def close(self) -> None:
        await self._end()

    @property
    def _silence(self) -> float:
        return time.monotonic() - self._heard

    def _send(self, command: m.Command) -> None:
        if self._child is None or self._child.stdin is None or self._child.stdin.is_closing():
            raise EngineUnavailable(self._gone)
        self._child.stdin.write(m.to_line(command))

    def _forget(self, id: int) -> None:
        """Stop a generation that its reader has left."""
        if self._generations.pop(id, None) is not None:
            with suppress(EngineUnavailable):
                self._send(m.Cancel(id))

    async def _listen(self, child: Process) -> None:
        assert child.stdout is not None  # noqa: S101 - asked for above
        try:
            async for line in child.stdout:
                self._heard = time.monotonic()
                self._take(m.event_of(line))
        except Exception:
            log.exception("the engine sent what is no message")
            child.kill()
        status = await child.wait()
        how = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
        level = logging.INFO if self._ending else logging.ERROR
        log.log(level, "engine gone", extra=fields(message=how, pid=child.pid))
        self._lost(f"the engine {how}")

    def _take(self, event: m.Event) -> None:
        match event:
            case m.Alive(usage):
                self._kv_cache_usage = usage
            case m.Ready(max_model_len) if self._started is not None:
                self._started.set_result(max_model_len)
            case m.NotLoaded(message) if self._started is not None:
                self._started.set_exception(EngineUnavailable(message))
            case m.AdapterLoaded(key) if key in self._loading:
                self._adapters |= {key}
                self._loading[key].set_result(None)
            case m.AdapterFailed(key, message) if key in self._loading:
                self._loading[key].set_exception(AdapterRefused(message))
            case (
                m.Accepted(id)
                | m.Started(id)
                | m.Token(id)
                | m.Finished(id)
                | m.Refused(id)
                | m.Failed(id)
            ):
                if (generation := self._generations.get(id)) is not None:
                    generation.take(event)
                    if generation.ended:
                        del self._generations[id]

    def _lost(self, why: str) -> None:
        """The child is gone: tell everyone who waits for it."""
        self._gone, self.max_model_len, self._adapters = why, 0, frozenset()
        self._kv_cache_usage = 0.0
        if self._started is not None and not self._started.done():
            self._started.set_exception(EngineUnavailable(why))
        for answer in self._loading.values():
            if not answer.done():
                answer.set_exception(EngineUnavailable(why))
        generations, self._generations = self._generations, {}
        for generation in generations.values():
            generation.fail(EngineUnavailable(why))

    async def _kill_if_silent(self, child: Process) -> None:
        while self._silence < self._config.engine_timeout:  # noqa: ASYNC110 - silence has no event
            await asyncio.sleep(min(1.0, self._config.engine_timeout))
        log.error("engine hung", extra=fields(silentSeconds=round(self._silence)))
        child.kill()

    async def _end(self) -> None:
        """Kill the child, if there is one, and wait until everyone has been told."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._ending = True
        if self._child is not None and self._listener is not None:
            with suppress(ProcessLookupError):
                self._child.kill()
            await self._listener
        self._ending = False
