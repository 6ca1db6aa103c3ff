"""What is done when, and what took how long: steps that may run beside each other."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from olive_demo.shell import DemoError, Tell

T = TypeVar("T")


@dataclass(frozen=True)
class Span:
    """A step that is over: seconds from the demo's start, and how long it took."""

    name: str
    start: float
    seconds: float


class StepFailed(Exception):  # noqa: N818 - a person reads "step … failed"
    """The step of that name has failed, for that reason."""

    def __init__(self, step: str, cause: DemoError) -> None:
        super().__init__(f"step {step!r} failed: {cause}")
        self.cause = cause


@dataclass
class Timeline:
    """Runs steps and keeps their times; each step is given a way to tell of its progress."""

    started: float = field(default_factory=time.monotonic)
    spans: list[Span] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def elapsed(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self.started

    def step(self, name: str, work: Callable[[Tell], T]) -> T:
        """Do one step; StepFailed if it raises DemoError."""
        start = self.elapsed
        try:
            return work(lambda line: self.say(name, line))
        except DemoError as error:
            self.say(name, "failed")
            raise StepFailed(name, error) from error
        finally:
            with self._lock:
                self.spans.append(Span(name, start, self.elapsed - start))

    def beside(self, *steps: tuple[str, Callable[[Tell], Any]]) -> list[Any]:
        """Do several steps at once; their results in the same order.

        The first failure is raised once all have ended: half a build is nobody's wish.
        """
        with ThreadPoolExecutor(len(steps)) as pool:
            futures: list[Future[Any]] = [
                pool.submit(self.step, name, work) for name, work in steps
            ]
        return [future.result() for future in futures]

    def say(self, name: str, line: str) -> None:
        """One line of progress on stderr."""
        print(f"{self.elapsed:7.1f}s  {name:10}  {line}", file=sys.stderr, flush=True)

    def table(self) -> str:
        """Where the time went, in the order in which the steps began."""
        rows = [f"{'step':14} {'at':>7} {'seconds':>8}"]
        for span in sorted(self.spans, key=lambda span: span.start):
            rows.append(f"{span.name:14} {span.start:7.1f} {span.seconds:8.1f}")
        return "\n".join([*rows, f"{'all':14} {'':7} {self.elapsed:8.1f}"])
