"""The end of ``olive-operator run --serve``: the server as a process on localhost."""

import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from olive_cli.errors import CliError
from olive_cli.run.attempt import TAIL, dies_with
from olive_cli.run.place import Place, Runtime
from olive_contract.serving import BASE_NAME, SERVING_FILE, ServedAdapter, Serving
from olive_operator.api.spec import Spec
from olive_operator.api.status import Status

HOST: Final = "127.0.0.1"
GRACE: Final = 30.0
"""Seconds for running requests; the server itself takes 25 of them."""


def free(port: int) -> None:
    """CliError if something listens on the port already: better told before the work."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            why = error.strerror
            raise CliError(f"port {port} cannot be had ({why}); give --serve another") from None


def _any_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def what(name: str, spec: Spec, status: Status) -> Serving:
    """What the finished job serves: its export, with all of its adapters."""
    keys = {s.name: s.key for s in status.stages}
    adapters = tuple(ServedAdapter(a.name, keys[f"adapter/{a.name}"]) for a in spec.adapters)
    return Serving(name, keys["export"], adapters)


@contextmanager
def served(what: Serving, runtime: Runtime, place: Place, port: int) -> Iterator["Server"]:
    """The server, begun; it has ended when this is left."""
    server = Server(what, runtime, place, port)
    try:
        yield server
    finally:
        server.end()


class Server:
    """``python -m olive_serve`` and its address."""

    def __init__(self, what: Serving, runtime: Runtime, place: Place, port: int) -> None:
        self._what = what
        self.url = f"http://{HOST}:{port}/v1"
        health = _any_port()
        self._readyz = f"http://{HOST}:{health}/readyz"
        self._log = place.store / ".logs" / f"{what.job}-serving.log"
        file = place.folder / SERVING_FILE
        file.write_text(what.to_json())
        where = [f"--store={place.store}", f"--serving={file}", f"--host={HOST}"]
        where += [f"--port={port}", f"--health-port={health}"]
        self._log.parent.mkdir(exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [runtime.python, "-m", "olive_serve", *where],
                cwd=place.folder,
                env=runtime.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=dies_with(os.getpid()),
            )

    def ready(self) -> bool:
        """Whether it answers with every adapter; CliError if it has ended."""
        self.look()
        try:
            with urllib.request.urlopen(self._readyz, timeout=5) as answer:  # noqa: S310 - our own
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def example(self) -> str:
        """A question that can be pasted into a shell."""
        model = self._what.adapters[0].name if self._what.adapters else BASE_NAME
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
        header = "-H 'content-type: application/json'"
        return f"curl {self.url}/chat/completions {header} -d '{body}'"

    def look(self) -> None:
        """CliError if the server has ended by itself."""
        if self._process.poll() is not None:
            tail = self._log.read_bytes()[-TAIL:].decode(errors="replace").strip()
            code = self._process.returncode
            raise CliError(f"the server ended with status {code}; its log, {self._log}:\n{tail}")

    def end(self) -> None:
        """Let it finish what it answers, and then end it in any case."""
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # its engine is a process of its own
            self._process.wait()
