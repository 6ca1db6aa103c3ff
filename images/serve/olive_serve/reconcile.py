"""The loop that makes the engine serve what ``serving.json`` says.

Level-triggered: every second it compares the file, the engine and the routes, and does what is
missing. A restarted engine is thereby loaded again like a first one.
"""

import asyncio
import logging
import math
import time
from pathlib import Path
from typing import Final

from olive_contract.failures import StageFailure
from olive_contract.serving import BASE_NAME, ServedAdapter, Serving
from olive_contract.store import Store
from olive_serve.adapters import AdapterStatus, Failure, plan, status_of
from olive_serve.chat_template import ChatTemplate
from olive_serve.engine import AdapterRefused, Engine, EngineUnavailable
from olive_serve.local_copy import LocalCopy
from olive_serve.logs import fields
from olive_serve.metrics import Metrics
from olive_serve.tokenizer import PromptTokenizer

log = logging.getLogger(__name__)

POLL: Final = 1.0
"""Seconds between looks at the file: a ConfigMap changes by a swapped link, which no watch of the
file itself reports."""

ADAPTER_FILE: Final = "adapter.onnx_adapter"

LOST_ENGINES: Final = 3
"""Engines lost one after the other, none of them ready, after which the process counts as dead."""


class Reconciler:
    """What is wanted, what is offered, and why they differ."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        file: Path,
        metrics: Metrics,
        *,
        local: LocalCopy | None,
        retry: float,
    ) -> None:
        self._engine = engine
        self._store = store
        self._file = file
        self._metrics = metrics
        self._local = local
        self._retry = retry
        self._read = ""
        self._settled = False
        self._engines_lost = 0
        self.serving: Serving | None = None
        self.routes: dict[str, str] = {}
        self.failures: dict[str, Failure] = {}
        self.chat_template = ChatTemplate()
        self.tokenizer: PromptTokenizer
        self.since = int(time.time())
        self._problem = "serving.json is not read yet"

    @property
    def alive(self) -> bool:
        """False once restarting the engine has not helped: the container must be restarted."""
        return self._engines_lost < LOST_ENGINES

    @property
    def ready(self) -> bool:
        """The model answers, and every adapter of the file was tried since it was loaded."""
        return self._settled and self._engine.ready

    @property
    def problem(self) -> str:
        """Why it is not ready; empty if it is."""
        return "" if self.ready else self._problem or "the engine does not answer"

    @property
    def model(self) -> str:
        """The served model's key; empty until it is known."""
        return self.serving.model if self.serving else ""

    def adapters(self) -> list[AdapterStatus]:
        """Every adapter that the file names."""
        wanted = self.serving.adapters if self.serving else ()
        return [status_of(a, self.routes, self.failures) for a in wanted]

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.once()
            except Exception as error:
                self._problem = f"{type(error).__name__}: {error}"
                log.exception("reconciling failed")
            await asyncio.sleep(POLL)

    async def once(self) -> None:
        """One pass: read, start the engine if there is none, bring its adapters to the file's."""
        self._look_at_file()
        if self.serving is None:
            return
        try:
            if not self._engine.ready:
                await self._start(self.serving.model)
            await self._reconcile_adapters(self.serving)
        except EngineUnavailable as error:
            self._problem = str(error)
            self._engines_lost += not self._settled
            self._settled, self.routes = False, {}
        except StageFailure as failure:
            self._problem = f"the model: {failure}"
            log.error("model unreadable", extra=fields(message=str(failure)))
            await asyncio.sleep(self._retry)  # each look reads the whole model

    def _look_at_file(self) -> None:
        try:
            text = self._file.read_text()
            if text == self._read:
                return
            self._read = text
            serving = checked(Serving.from_json(text), self.serving)
        except (OSError, ValueError) as error:
            if self.serving is None:
                self._problem = f"{self._file.name}: {error}"
            log.error("serving file unreadable", extra=fields(message=str(error)))
            return
        self.serving, self.failures = serving, {}
        log.info("serving file read", extra=fields(adapters=[a.name for a in serving.adapters]))

    async def _start(self, key: str) -> None:
        if self._settled:
            self._metrics.engine_restarts.inc()
        self._settled, self.routes = False, {}
        folder = await self._verified(key)
        self._problem = "the model is being loaded"
        self.chat_template = ChatTemplate.of_model(folder)
        await self._engine.start(folder)
        self.tokenizer = await asyncio.to_thread(PromptTokenizer, folder)
        self.since = int(time.time())

    async def _verified(self, key: str) -> Path:
        """The folder to load the model from: the store's, or the local copy."""
        if self._local is not None:
            self._problem = "the model is being copied to local disk"
            return await self._local.open(key)
        self._problem = "the model is being read"
        artifact = await asyncio.to_thread(self._store.open, key)
        return self._store.path(artifact.key)

    async def _reconcile_adapters(self, serving: Serving) -> None:
        while True:
            step = plan(
                serving.adapters,
                self._engine.adapters,
                self.routes,
                self.failures,
                now=time.monotonic(),
                retry=self._retry,
            )
            self.routes = step.routes
            for key in step.unload:
                self._engine.unload_adapter(key)
                log.info("adapter unloaded", extra=fields(key=key))
            if not step.load:
                break
            await self._load(step.load[0], serving.model)
        self._settled, self._engines_lost, self._problem = True, 0, ""

    async def _load(self, adapter: ServedAdapter, model: str) -> None:
        noted = fields(adapter=adapter.name, key=adapter.key)
        try:
            artifact = await asyncio.to_thread(self._store.open, adapter.key)
            if (base := artifact.inputs.get("base")) != model:
                raise AdapterRefused(f"it was converted for the base {base}, not for {model}")
            await self._engine.load_adapter(
                adapter.key, self._store.path(adapter.key) / ADAPTER_FILE
            )
        except EngineUnavailable as error:
            # Once may be a coincidence. After twice it waits for another file: it would take the
            # model away each time.
            again = adapter.key in self.failures
            at = math.inf if again else time.monotonic()
            self.failures[adapter.key] = Failure(f"while it was being loaded, {error}", at)
            raise
        except (StageFailure, AdapterRefused, OSError) as error:
            self.failures[adapter.key] = Failure(str(error), time.monotonic())
            self._metrics.adapter_failures.inc()
            noted["fields"]["message"] = str(error)
            log.error("adapter not loaded", extra=noted)
        else:
            self.failures.pop(adapter.key, None)
            log.info("adapter loaded", extra=noted)


def checked(serving: Serving, before: Serving | None) -> Serving:
    """ValueError for what the contract's types do not rule out."""
    names = [BASE_NAME, *(a.name for a in serving.adapters)]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise ValueError(f"adapters: the name {twice!r} is taken twice")
    if before is not None and serving.model != before.model:
        raise ValueError("model: another base is another pod")
    return serving
