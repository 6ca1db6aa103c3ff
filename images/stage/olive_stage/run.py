"""One attempt of one stage: hit check, verified inputs, the work, commit, report.

Success is decided here and by one thing only: the artifact is in the store, whole. Nothing that a
library returns or prints counts.
"""

import importlib
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

from olive_contract.artifact import Artifact, describe
from olive_contract.failures import StageFailure
from olive_contract.params import PARAMS, FetchParams, params_of
from olive_contract.stage import Report, StageInput
from olive_contract.store import Store
from olive_stage.console import say
from olive_stage.failing import Cancelled, failure_of
from olive_stage.hit import find_whole
from olive_stage.words import printable
from olive_stage.work import Made, Work, invalid

RECORDS_ONLY = {
    "adapter": frozenset({"base"}),
    "evaluate": frozenset({"reference"}),
    "publish": frozenset({"model", "evaluate"}),
}
"""Inputs of which a stage reads the record alone, by its kind and the beginning of their roles."""

Make = Callable[[Any, Work], Made]
"""A stage's own function: from its parameters, it writes into the work's folder."""


def run(stage: StageInput, tail: Sequence[str] = ()) -> Report:
    """Carry the attempt out; never raises. ``tail`` holds the log's last lines, live."""
    started = time.monotonic()
    needed = Needed()
    signal.signal(signal.SIGTERM, _cancel)
    try:
        Path(stage.store).mkdir(parents=True, exist_ok=True)
        report = attempt(stage, needed, lambda: time.monotonic() - started)
    except BaseException as error:  # SystemExit, a panic in Rust: what libraries end by
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        failure = failure_of(error, root=Path(stage.store), needed=needed.bytes, tail=tuple(tail))
        if not isinstance(error, StageFailure | Cancelled | KeyboardInterrupt):
            traceback.print_exc()
        report = Report(
            outcome="Failed",
            key=stage.key,
            reason=failure.failure,
            message=printable(str(failure)),
            missing=failure.missing,
            seconds=time.monotonic() - started,
        )
    return report


class Needed:
    """About how many bytes the stage writes, once the stage knows."""

    bytes = 0

    def __call__(self, size: int) -> None:
        self.bytes = size


def attempt(stage: StageInput, needed: Needed, elapsed: Callable[[], float]) -> Report:
    """The attempt's report; whatever goes wrong is raised."""
    if stage.kind not in PARAMS:
        raise invalid(f"there is no stage of kind {stage.kind!r}")
    try:
        params = params_of(stage.kind, stage.params)
    except ValueError as error:
        raise invalid(f"a parameter is wrong: {error}") from error
    store = Store(Path(stage.store))
    if isinstance(params, FetchParams):
        from olive_stage.fetch import fetch

        artifact, cached = fetch(params, store, needed, elapsed)
    elif found := find_whole(store, stage.key):
        artifact, cached = found, True
    else:
        artifact, cached = build(stage, params, store, needed, elapsed), False
    return Report(
        outcome="Succeeded",
        key=artifact.key,
        cached=cached,
        seconds=elapsed(),
        sizeBytes=artifact.size,
        metrics=artifact.metrics,
        published=artifact.published,
    )


def build(
    stage: StageInput,
    params: object,
    store: Store,
    needed: Needed,
    elapsed: Callable[[], float],
) -> Artifact:
    """Run the stage's own module and commit what it made."""
    if not stage.key:
        raise invalid(f"a {stage.kind} stage needs the key of the artifact to make")
    make, inputs = prepare(stage, store)
    say(f"libraries are loaded and inputs verified after {elapsed():.1f} s")
    with store.building(stage.key) as out:
        work = Work(stage.key, store, inputs, out, needed, stage.less, stage.job, stage.gates)
        made = make(params, work)
        seconds = elapsed()
        say(f"made after {seconds:.1f} s")
        artifact = Artifact(
            key=stage.key,
            kind=stage.kind,
            params=stage.params,
            inputs=dict(stage.inputs),
            files=describe(out),
            versions=versions(made.libraries),
            metrics=made.metrics,
            about=made.about,
            seconds=seconds,
            gpuSeconds=seconds * gpu_count(),
            createdAt=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        store.commit(out, artifact)
    return artifact


def prepare(stage: StageInput, store: Store) -> tuple[Make, dict[str, Artifact]]:
    """The stage's own function, and its verified inputs: read while its libraries are imported."""
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(read_inputs, stage, store)
        make: Make = importlib.import_module(f"olive_stage.{stage.kind}").make
        return make, reading.result()


def read_inputs(stage: StageInput, store: Store) -> dict[str, Artifact]:
    """The stage's inputs by role, verified but where only their records are read."""
    unread = RECORDS_ONLY.get(stage.kind, frozenset())
    return {
        role: store.record(key) if role.partition("/")[0] in unread else store.open(key)
        for role, key in stage.inputs.items()
    }


def gpu_count() -> int:
    """GPUs that this process was given, if the stage used torch at all."""
    import sys

    torch = sys.modules.get("torch")
    return torch.cuda.device_count() if torch and torch.cuda.is_available() else 0


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """The installed versions of these distributions."""
    found = {}
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _cancel(signum: int, frame: FrameType | None) -> None:
    raise Cancelled
