"""A way from this machine to a Service of the cluster: ``kubectl port-forward``, for a while."""

import re
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from olive_cli.errors import ForbiddenError, NoClusterError, no_kubectl

PATIENCE = 20.0
"""Seconds that kubectl has to open the way."""

_READY = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@contextmanager
def forwarded(kubectl: Sequence[str], namespace: str, service: str) -> Iterator[str]:
    """The local URL of a Service's port 80, as long as the block lasts."""
    command = [*kubectl, "port-forward", "-n", namespace, f"service/{service}", ":80"]
    try:
        process = subprocess.Popen(
            [*command, "--address=127.0.0.1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C stops an answer, and not the way to the next one
        )
    except OSError as error:
        raise no_kubectl(error) from None
    try:
        yield f"http://127.0.0.1:{_port(process, service)}"
    finally:
        process.terminate()
        process.wait()


def _port(process: "subprocess.Popen[bytes]", service: str) -> int:
    """The local port that kubectl says it listens on."""
    said = ""
    deadline = time.monotonic() + PATIENCE
    assert process.stdout is not None  # noqa: S101 - it is a pipe, see above
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([process.stdout], [], [], left)[0]:
            break
        chunk = process.stdout.read1(4096)  # type: ignore[attr-defined]
        if not chunk:
            break
        said += chunk.decode(errors="replace")
        if found := _READY.search(said):
            return int(found[1])
    if "(Forbidden)" in said:
        raise ForbiddenError(
            f"you may not forward a port to service {service}: ask for the role edit there; "
            f"kubectl: {' '.join(said.split())}"
        )
    why = said.strip() or f"no answer within {PATIENCE:.0f} s"
    raise NoClusterError(f"service {service} cannot be reached: {why}")
