"""The model is copied from the store to a folder of the pod's own, once, and loaded from there."""

import asyncio
import errno
import hashlib
import json
import logging
import os
import shutil
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Start
from server_process import ServedJob, ServerProcess, until

from olive_contract.artifact import CHUNK, Artifact, describe
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.store import Store
from olive_serve import local_copy
from olive_serve.local_copy import BESIDE, LocalCopy
from olive_serve.metrics import Metrics
from olive_serve.reconcile import Reconciler

MODEL = "model.onnx"
OTHER = "f" * 64


@pytest.fixture
def local(tmp_path: Path) -> Path:
    return tmp_path / "local"


def problem(server: ServerProcess) -> str:
    found: str = server.health.get("/readyz").json()["problem"]
    return found


def contents(local: Path) -> set[str]:
    """Every file of the folder, also half-made ones."""
    return {str(path.relative_to(local)) for path in local.rglob("*") if path.is_file()}


def of_model(job: ServedJob) -> set[str]:
    """What is in the folder when the model was copied, and nothing else."""
    return {f"{job.base}/{path.name}" for path in job.store.path(job.base).iterdir()}


# A server that has one


def test_an_engine_comes_back_from_the_copy_while_the_store_is_away(
    job: ServedJob, start: Start, local: Path
) -> None:
    job.serve(travel="Rome!")
    server = start("--local", str(local))
    assert server.complete("base", "a") == "bcdefghijklmnopq"
    shutil.rmtree(job.store.path(job.base))
    os.kill(server.engine_pid(), signal.SIGKILL)
    until(lambda: server.metric("olive_serve_engine_restarts_total") == 1 and server.ready())
    assert server.complete("travel") == "Rome!"
    assert server.complete("base", "a") == "bcdefghijklmnopq"


def test_a_server_that_starts_again_finds_the_copy(
    job: ServedJob, start: Start, local: Path
) -> None:
    job.serve()
    first = start("--local", str(local))
    first.process.kill()
    first.process.wait()
    shutil.rmtree(job.store.path(job.base))
    assert start("--local", str(local)).complete("base", "a") == "bcdefghijklmnopq"


def test_half_a_copy_and_that_of_another_model_are_removed_and_nothing_else(
    job: ServedJob, start: Start, local: Path
) -> None:
    begun = local / ".building" / f"{job.base}-x" / MODEL
    other = local / OTHER / MODEL
    own = local / "notes" / OTHER
    for file in (begun, other, own):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"?")
    job.serve()
    start("--local", str(local))
    assert contents(local) == of_model(job) | {f"notes/{OTHER}"}


@pytest.mark.parametrize("damage", [b"?", b""], ids=["a byte", "the end"])
def test_a_damaged_copy_is_made_again(
    job: ServedJob, start: Start, local: Path, damage: bytes
) -> None:
    shutil.copytree(job.store.path(job.base), local / job.base)
    file = local / job.base / MODEL
    file.write_bytes(file.read_bytes()[:-1] + damage)
    job.serve()
    server = start("--local", str(local))
    assert server.complete("base", "a") == "bcdefghijklmnopq"
    assert file.read_bytes() == (job.store.path(job.base) / MODEL).read_bytes()


def test_a_copy_that_may_not_be_so_large_is_not_begun_and_told(
    job: ServedJob, start: Start, local: Path
) -> None:
    job.serve()
    server = start("--local", str(local), "--local-size-limit", str(BESIDE), wait=False)
    until(lambda: "its local copy takes 2 MiB" in problem(server))
    assert f"{local} has room for 1 MiB; raise serve.localCopy.sizeLimit" in problem(server)
    assert problem(server).startswith("the model: ")
    assert server.health.get("/healthz").status_code == 200, "a restart would not help"
    assert not server.ready()
    assert contents(local) == set()


# The copying by itself


def opened(job: ServedJob, local: Path, key: str = "", limit: int | None = None) -> Path:
    return asyncio.run(LocalCopy(job.store, local, limit).open(key or job.base))


def refusal(job: ServedJob, local: Path, **options: Any) -> StageFailure:
    with pytest.raises(StageFailure) as failure:
        opened(job, local, **options)
    assert contents(local) == set(), "nothing is left of it"
    return failure.value


def large(job: ServedJob, pieces: int) -> str:
    """The key of an artifact with a file that takes so many pieces, and one in a folder."""
    key = "a" * 64
    with job.store.building(key) as folder:
        (folder / "weights").write_bytes(os.urandom(pieces * CHUNK))
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "er" / "file").write_bytes(b"!")
        job.commit_as_export(folder, key)
    return key


def test_every_byte_is_read_once(job: ServedJob, local: Path) -> None:
    key = large(job, pieces=8)
    before = bytes_read()
    folder = opened(job, local, key)
    assert bytes_read() - before < 9 * CHUNK
    assert describe(folder) == describe(job.store.path(key))


def bytes_read() -> int:
    """By this process, of files and pipes."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_begin_and_end_are_told(
    job: ServedJob, local: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = large(job, pieces=1)
    with caplog.at_level(logging.INFO):
        opened(job, local, key)
        opened(job, local, key)
    told = [(r.getMessage(), vars(r)["fields"]) for r in caplog.records if "model" in r.msg]
    what = {"key": key, "folder": str(local), "bytes": CHUNK + 1}
    assert told == [
        ("model is being copied", what),
        ("model copied", {**what, "seconds": told[1][1]["seconds"]}),
    ]


def absent(folder: Path) -> None:
    (folder / MODEL).unlink()


def shorter(folder: Path) -> None:
    (folder / MODEL).write_bytes(b"?")


def changed(folder: Path) -> None:
    (folder / MODEL).write_bytes((folder / MODEL).read_bytes()[:-1] + b"?")


def pipe(folder: Path) -> None:
    absent(folder)
    os.mkfifo(folder / MODEL)


def rewritten(folder: Path, old: str, new: str) -> None:
    note = folder / "artifact.json"
    note.write_text(note.read_text().replace(json.dumps(old), json.dumps(new)))


def leads_out(folder: Path) -> None:
    (folder.parent / MODEL).write_bytes((folder / MODEL).read_bytes())
    rewritten(folder, MODEL, f"../{MODEL}")


def climbs_out_of_the_copy(folder: Path) -> None:
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "link").symlink_to("sub/deep")
    rewritten(folder, MODEL, f"link/../../{MODEL}")


def of_another(folder: Path) -> None:
    rewritten(folder, folder.name, OTHER)


def undescribed(folder: Path) -> None:
    (folder / "artifact.json").write_text("{")


NOT_WRITTEN = f"{MODEL} is not what was written"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (shutil.rmtree, "it is not on the volume"),
        (absent, f"{MODEL} is absent"),
        (pipe, f"{MODEL} is absent"),
        (shorter, NOT_WRITTEN),
        (changed, NOT_WRITTEN),
        (leads_out, f"../{MODEL} leads out of it"),
        (climbs_out_of_the_copy, f"link/../../{MODEL} leads out of it"),
        (of_another, "its artifact.json is another's"),
        (undescribed, "its artifact.json is damaged"),
    ],
)
def test_what_the_store_has_is_verified_on_the_way(
    job: ServedJob, local: Path, damage: Any, told: str
) -> None:
    damage(job.store.path(job.base))
    failure = refusal(job, local)
    assert f"artifact {job.base[:12]} cannot be read: {told}" in str(failure)
    assert (failure.failure, failure.missing) == (FailureClass.INPUT_MISSING, job.base)


def test_a_copy_that_fits_exactly_is_made(job: ServedJob, local: Path) -> None:
    size = job.store.record(job.base).size + BESIDE
    assert refusal(job, local, limit=size - 1).failure == FailureClass.DISK_FULL
    assert opened(job, local, limit=size) == local / job.base
    assert sum(f.stat().st_blocks * 512 for f in local.rglob("*")) <= size, "as the kubelet counts"


def test_a_copy_is_not_begun_where_the_disk_has_no_room(
    job: ServedJob, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(job.store.root)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    failure = refusal(job, local, limit=1 << 30)
    assert failure.failure == FailureClass.DISK_FULL
    assert f"{local} has room for 0 MiB; " in str(failure)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_meanwhile_is_told(
    job: ServedJob, local: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(store: Store, folder: Path, artifact: Artifact) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Store, "commit", full)
    failure = refusal(job, local)
    assert failure.failure == FailureClass.DISK_FULL
    assert f"{local} was full before its end; raise serve.localCopy.sizeLimit" in str(failure)


def test_a_folder_that_cannot_be_written_to_is_told(job: ServedJob, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StageFailure, match=r"cannot be copied to .*/file/local: .*Not a directory"):
        opened(job, tmp_path / "file" / "local")


# While it is copied


class Gate:
    """A hash that waits at each piece until the test lets it go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self._opened = threading.Event(), threading.Event()
        self.pieces = 0
        monkeypatch.setattr(local_copy, "hashlib", SimpleNamespace(sha256=lambda: self))
        self._hash = hashlib.sha256()

    def open(self) -> None:
        self._opened.set()

    def update(self, piece: memoryview) -> None:
        self.pieces += 1
        self.begun.set()
        self._opened.wait()
        self._hash.update(piece)

    def hexdigest(self) -> str:
        found, self._hash = self._hash.hexdigest(), hashlib.sha256()
        return found


class NoEngine:
    """None is started before the copy is there."""

    ready, adapters = False, frozenset[str]()

    def __init__(self) -> None:
        self.models: list[Path] = []

    async def start(self, model: Path) -> None:
        self.ready = True
        self.models.append(model)


def test_it_is_alive_and_not_ready_while_it_copies(
    job: ServedJob, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, engine = Gate(monkeypatch), NoEngine()
    job.serve()
    copy = LocalCopy(job.store, local, None)
    reconciler = Reconciler(engine, job.store, job.mount.file, Metrics(), local=copy, retry=1)

    async def story() -> None:
        copying = asyncio.create_task(reconciler.once())
        await asyncio.to_thread(gate.begun.wait)
        assert (reconciler.alive, reconciler.ready, engine.models) == (True, False, [])
        assert reconciler.problem == "the model is being copied to local disk"
        assert not (local / job.base).exists(), "it gets its name when it is whole"
        gate.open()
        await copying

    asyncio.run(story())
    assert (reconciler.ready, engine.models) == (True, [local / job.base])


def test_a_server_that_stops_does_not_copy_to_the_end(
    job: ServedJob, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = large(job, pieces=8)
    gate = Gate(monkeypatch)

    async def story() -> None:
        copying = asyncio.create_task(LocalCopy(job.store, local, None).open(key))
        await asyncio.to_thread(gate.begun.wait)
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
        gate.open()

    asyncio.run(story())  # its end is that of the threads
    assert contents(local) == set()
    assert gate.pieces < 8
