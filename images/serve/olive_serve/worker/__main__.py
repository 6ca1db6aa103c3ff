"""``python -m olive_serve.worker``: load the model, then commands in, events out, until the end.

One thread: commands are read between two steps, none of which takes long. The process ends when
its input does, so it never outlives the server.
"""

import argparse
import gc
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from olive_serve.engine import AdapterRefused
from olive_serve.messages import (
    AdapterFailed,
    AdapterLoaded,
    Alive,
    Cancel,
    Command,
    Event,
    Failed,
    Generate,
    LoadAdapter,
    NotLoaded,
    Ready,
    Started,
    Token,
    UnloadAdapter,
    command_of,
    to_line,
)
from olive_serve.worker.engine import BatchEngine

HEARTBEAT: Final = 1.0
"""Seconds between signs of life; a step that takes longer delays one."""
GATHERED: Final = 0.02
"""Seconds for which tokens are gathered before they are told: the server and its clients would
take the cores from the engine for each of them. An answer's first token is told at once."""


class Worker:
    """The loop around one engine. ``commands`` and ``events`` are file descriptors."""

    def __init__(self, engine: BatchEngine, commands: int, events: int) -> None:
        self._engine = engine
        self._commands = commands
        self._events = events
        self._unread = b""
        self._told: list[bytes] = []
        self._due = 0.0
        self._silent: set[int] = set()

    def run(self) -> None:
        """Until standard input ends."""
        self._tell(Ready(self._engine.max_model_len))
        heartbeat = 0.0
        while True:
            if time.monotonic() >= heartbeat:
                self._tell(Alive(self._engine.kv_cache_usage))
                heartbeat = time.monotonic() + HEARTBEAT
            if not self._engine.busy or time.monotonic() >= self._due:
                self._flush()
            if self._arrived(0.0 if self._engine.busy else HEARTBEAT):
                try:
                    for command in self._read():
                        self._obey(command)
                except EOFError:
                    return
            self._engine.turn(self._tell)

    def _arrived(self, seconds: float) -> bool:
        return bool(select.select([self._commands], [], [], seconds)[0])

    def _read(self) -> Iterator[Command]:
        read = os.read(self._commands, 1 << 20)
        if not read:
            raise EOFError
        *lines, self._unread = (self._unread + read).split(b"\n")
        return map(command_of, lines)

    def _obey(self, command: Command) -> None:
        match command:
            case Generate(id, request):
                self._tell(self._engine.submit(id, request))
            case Cancel(id):
                self._silent.discard(id)
                self._engine.cancel(id)
            case LoadAdapter(key, file):
                try:
                    self._engine.load_adapter(key, Path(file))
                except AdapterRefused as refusal:
                    self._tell(AdapterFailed(key, str(refusal)))
                else:
                    self._tell(AdapterLoaded(key))
            case UnloadAdapter(key):
                self._engine.unload_adapter(key)

    def _tell(self, event: Event) -> None:
        self._told.append(to_line(event))
        match event:
            case Token(id) if id not in self._silent:
                return
            case Started(id):
                self._silent.add(id)
            case Token(id) | Failed(id):
                self._silent.discard(id)
        self._due = 0.0

    def _flush(self) -> None:
        """What the last turns have brought; the reader wakes up once."""
        self._due = time.monotonic() + GATHERED
        lines, self._told = b"".join(self._told), []
        while lines:
            lines = lines[os.write(self._events, lines) :]


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
        engine = BatchEngine(
            args.model,
            threads=args.threads,
            max_model_len=args.max_model_len,
            max_running=args.max_running,
        )
    except Exception as error:
        os.write(events, to_line(NotLoaded(f"the model does not load: {error}")))
        sys.exit(1)
    gc.collect()  # the graph as it was made ready
    gc.freeze()  # or now and then all of it is looked through, and every answer stands still
    with suppress(BrokenPipeError):  # the server is gone
        Worker(engine, sys.stdin.fileno(), events).run()


if __name__ == "__main__":
    main()
