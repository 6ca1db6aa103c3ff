"""``python -m olive_serve.worker``: load the model, then commands in, events out, until the end.

One thread: genai holds Python's lock while it computes, so a second one would only wait. The
process ends when its input does, so it never outlives the server.
"""

import argparse
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from olive_serve.engine import AdapterRefused
from olive_serve.messages import (
    AdapterFailed,
    AdapterLoaded,
    Alive,
    Cancel,
    Event,
    Generate,
    LoadAdapter,
    Message,
    NotLoaded,
    Ready,
    UnloadAdapter,
    from_line,
    to_line,
)
from olive_serve.worker.genai import GenaiModel
from olive_serve.worker.scheduler import Scheduler

HEARTBEAT = 1.0
"""Seconds between signs of life; a step that takes longer delays one."""


class Worker:
    """The loop around one model. ``commands`` and ``events`` are file descriptors."""

    def __init__(self, model: GenaiModel, scheduler: Scheduler, commands: int, events: int) -> None:
        self._model = model
        self._scheduler = scheduler
        self._commands = commands
        self._events = events
        self._unread = b""
        self._adapters: set[str] = set()
        self._unwanted: set[str] = set()

    def run(self) -> None:
        """Until standard input ends."""
        self._emit(Ready(self._model.max_model_len))
        heartbeat = 0.0
        while True:
            if time.monotonic() >= heartbeat:
                self._emit(Alive(self._scheduler.kv_cache_usage))
                heartbeat = time.monotonic() + HEARTBEAT
            if self._arrived(0.0 if self._scheduler.busy else HEARTBEAT):
                try:
                    for command in self._read():
                        self._obey(command)
                except EOFError:
                    return
            self._scheduler.turn(self._emit)
            self._drop_unused_adapters()

    def _arrived(self, seconds: float) -> bool:
        return bool(select.select([self._commands], [], [], seconds)[0])

    def _read(self) -> Iterator[Message]:
        read = os.read(self._commands, 1 << 20)
        if not read:
            raise EOFError
        *lines, self._unread = (self._unread + read).split(b"\n")
        return map(from_line, lines)

    def _obey(self, command: Message) -> None:
        match command:
            case Generate(id, request):
                self._emit(self._scheduler.submit(id, request))
            case Cancel(id):
                self._scheduler.cancel(id)
            case LoadAdapter(key, file):
                self._emit(self._load(key, Path(file)))
            case UnloadAdapter(key):
                self._unwanted.add(key)

    def _load(self, key: str, file: Path) -> Event:
        self._unwanted.discard(key)
        if key not in self._adapters:
            try:
                self._model.load_adapter(key, file)
            except AdapterRefused as refusal:
                return AdapterFailed(key, str(refusal))
            self._adapters.add(key)
        return AdapterLoaded(key)

    def _drop_unused_adapters(self) -> None:
        for key in {k for k in self._unwanted if not self._scheduler.uses(k)}:
            self._unwanted.remove(key)
            if key in self._adapters:
                self._adapters.remove(key)
                self._model.unload_adapter(key)

    def _emit(self, event: Event) -> None:
        line = to_line(event)
        while line:
            line = line[os.write(self._events, line) :]


def main() -> None:
    """Serve the model that the arguments name."""
    parser = argparse.ArgumentParser(prog="olive_serve.worker")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--max-model-len", type=int, required=True)
    parser.add_argument("--max-running", type=int, required=True)
    args = parser.parse_args()
    # Libraries may print; the pipe to the server is for events alone.
    events = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        model = GenaiModel(args.model, threads=args.threads, max_model_len=args.max_model_len)
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        os.write(events, to_line(NotLoaded(f"the model does not load: {error}")))
        sys.exit(1)
    scheduler = Scheduler(model, max_running=args.max_running, budget=model.kv_budget)
    with suppress(BrokenPipeError):  # the server is gone
        Worker(model, scheduler, sys.stdin.fileno(), events).run()


if __name__ == "__main__":
    main()
