"""Commands: run one, and say what is done."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STARTED = time.monotonic()


class ClusterError(Exception):
    """Something a person has to know: what is wrong, where, and what to do about it."""


def say(message: str) -> None:
    """Tell of progress on stderr; stdout is kept for answers."""
    print(f"{time.monotonic() - STARTED:6.1f}s  {message}", file=sys.stderr, flush=True)


def run(
    command: Sequence[str],
    *,
    stdin: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> str:
    """Run a command to its end and return its stdout; a failure tells the command and why."""
    try:
        done = subprocess.run(
            list(command),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            cwd=cwd,
            env=None if env is None else {**os.environ, **env},
        )
    except FileNotFoundError:
        if check:
            raise ClusterError(f"`{command[0]}` is not installed") from None
        return ""
    if check and done.returncode != 0:
        reason = (done.stderr or done.stdout).strip() or "it said nothing"
        raise ClusterError(f"`{' '.join(command)}` ended with {done.returncode}: {reason}")
    return done.stdout


def require_root(what: str) -> None:
    """Stop early where only root can go on."""
    if os.geteuid() != 0:
        raise ClusterError(f"{what} needs root (namespaces, mounts, cgroups): use sudo")


os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
