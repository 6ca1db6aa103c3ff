"""One shell in which a page's commands are typed, one after the other."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .blocks import Command, Saved, Step

_END: Final = "--- the end of the command:"


class Shell:
    """bash in a folder; what one command sets, the next has."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self._folder = folder

    def carry_out(self, step: Step, seconds: float) -> None:
        """AssertionError if the command ends otherwise than the page says, or takes longer."""
        if isinstance(step, Saved):
            (self._folder / step.name).write_text(step.text)
            return
        code, output = self.run(step, seconds)
        assert code == step.code, f"$ {step.text}\nended with {code}:\n{output}"
        difference = step.difference(output)
        assert not difference, f"$ {step.text}\n{difference}"

    def run(self, command: Command, seconds: float) -> tuple[int, str]:
        """The exit code, and all that was printed."""
        pipe, out = self._process.stdin, self._process.stdout
        assert pipe
        assert out
        pipe.write(f"{{ {command.text}\n}} </dev/null; printf '\\n%s %s\\n' '{_END}' $?\n")
        pipe.flush()
        said: list[str] = []
        impatience = threading.Timer(seconds, self._end)
        impatience.start()
        try:
            for line in out:
                if line.startswith(_END):
                    return int(line.removeprefix(_END)), "".join(said).rstrip("\n")
                said.append(line)
        finally:
            impatience.cancel()
        told = "".join(said)
        raise AssertionError(f"$ {command.text}\ndid not end within {seconds:.0f} s:\n{told}")

    def _end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)


@contextmanager
def shell(folder: Path, environment: Mapping[str, str]) -> Iterator[Shell]:
    """A shell with this environment alone; it ends with all that it has started."""
    process = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Shell(process, folder)
    finally:
        assert process.stdin
        try:
            process.stdin.close()
            process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout:
            process.stdout.close()
