"""Signals as something to wait for: a child's end and a wish to stop come at one place."""

import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

STOP: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody wants this program to end; its exit status tells by which signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


class Signals:
    """The signals that came since the last look."""

    def __init__(self, read: socket.socket) -> None:
        self._read = read

    def wait(self, seconds: float) -> None:
        """Until a signal comes, ``seconds`` at most; Stopped if it is one to stop."""
        if not select.select([self._read], [], [], seconds)[0]:
            return
        for number in self._read.recv(4096):
            if number in STOP:
                raise Stopped(number)


@contextmanager
def caught() -> Iterator[Signals]:
    """Signals are waited for, and interrupt nothing; one that is ignored (nohup) stays so."""
    read, write = socket.socketpair()
    heard = [number for number in STOP if signal.getsignal(number) != signal.SIG_IGN]
    with read, write:
        write.setblocking(False)
        before = {
            number: signal.signal(number, lambda *_: None) for number in (signal.SIGCHLD, *heard)
        }
        outer = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        try:
            yield Signals(read)
        finally:
            signal.set_wakeup_fd(outer)
            for number, handler in before.items():
                signal.signal(number, handler)
