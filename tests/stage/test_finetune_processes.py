"""A training spread over processes, on CPU as on GPUs: one result, one failure, one end."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import REPOSITORY, STAGE
from loras import lora
from neighbours import Order, obey
from small_models import make

from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import FinetuneParams
from olive_stage import processes
from olive_stage.finetune import Job, train_one
from olive_stage.ranks import Ranks


def test_every_process_has_its_share_and_all_have_the_sum(tmp_path: Path) -> None:
    found = processes.launch(obey, Order("work", tmp_path), 2)
    assert found == [([2.0, 1.0], [0, 2, 4]), ([2.0, 1.0], [1, 3])]


@pytest.mark.parametrize(
    ("deed", "failure", "says"),
    [
        ("run out of memory", FailureClass.GPU_OUT_OF_MEMORY, "CUDA out of memory"),
        ("refuse", FailureClass.INVALID_INPUT, "this cannot be done"),
        ("be killed", FailureClass.OUT_OF_MEMORY, "process 2 of 2 was killed"),
        ("leave", FailureClass.STAGE_ERROR, "process 2 of 2 ended by itself, with code 7"),
    ],
)
def test_the_failure_of_one_ends_all_and_is_the_one_that_is_told(
    tmp_path: Path, deed: str, failure: FailureClass, says: str
) -> None:
    with pytest.raises(StageFailure) as error:
        processes.launch(obey, Order(deed, tmp_path), 2)
    assert error.value.failure is failure
    assert says in str(error.value)
    assert not [path for path in tmp_path.iterdir() if is_running(int(path.read_text()))]


def test_each_process_sees_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(processes.VISIBLE, raising=False)
    assert processes.gpus(2) == ["0", "1"]
    monkeypatch.setenv(processes.VISIBLE, "GPU-a,GPU-b,GPU-c")
    assert processes.gpus(2) == ["GPU-a", "GPU-b"]
    with processes.only("GPU-b"):
        assert os.environ[processes.VISIBLE] == "GPU-b"
    assert os.environ[processes.VISIBLE] == "GPU-a,GPU-b,GPU-c"


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def wait_until(fulfilled: Callable[[], bool]) -> None:
    """An AssertionError if it is not within two minutes."""
    deadline = time.monotonic() + 120
    while not fulfilled():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("llama"), "llama")


def job(model: Path, folder: Path, **changes: Any) -> Job:
    """A training whose rows differ in length, writing below ``folder``."""
    rows = [{"a": " ".join(map(str, range(3, 6 + n % 9))), "b": n} for n in range(24)]
    (folder / "out").mkdir(parents=True)
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = lora(**{"batchSize": 5, "learningRate": 1e-2, "dropout": 0.0, **changes})
    params = FinetuneParams("{a} 7 {b}", 0.2, asked)
    return Job(params, model, folder, folder / "checkpoints", folder / "out", "key", False)


def losses(done: Job) -> dict[int, float]:
    return dict(json.loads((done.out / "losses.json").read_text()))


def test_two_processes_learn_what_one_learns(model: Path, tmp_path: Path) -> None:
    """Of a batch of five, one has three rows, the other two."""
    one, two = (job(model, tmp_path / name, maxSteps=12) for name in ("one", "two"))
    alone = train_one(one, Ranks())
    first, second = processes.launch(train_one, two, 2)
    assert losses(two) == pytest.approx(losses(one), abs=1e-4)
    assert first["evalLoss"] == second["evalLoss"]
    assert first["evalLoss"] == pytest.approx(alone["evalLoss"], abs=1e-4)
    assert (first["microBatchSize"], alone["microBatchSize"]) == (3, 5)


def start(asked: Job) -> "subprocess.Popen[str]":
    """The training in two processes below a third, which signals are sent to."""
    order = asked.data / "job"
    order.write_bytes(pickle.dumps(asked))
    here = Path(__file__).parent
    return subprocess.Popen(
        [sys.executable, str(here / "neighbours.py"), str(order)],
        env={
            **os.environ,
            "PYTHONPATH": f"{STAGE}:{REPOSITORY / 'operator'}:{here}",
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def log_until(process: "subprocess.Popen[str]", text: str) -> None:
    """Read the log up to a line with this text."""
    assert process.stdout
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
    raise AssertionError("".join(seen))


def children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_sigterm_reaches_all_and_the_step_is_kept(model: Path, tmp_path: Path) -> None:
    """What is left to do can be done by one process alone, and the losses are those of one."""
    one, two = (job(model, tmp_path / name, maxSteps=80) for name in ("one", "two"))
    process = start(two)
    log_until(process, '"step 3 of 80"')
    process.send_signal(signal.SIGTERM)
    log, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cancelled\n" in log
    assert list(two.checkpoints.glob("checkpoint-*/whole"))
    assert not (two.out / "losses.json").exists()
    resumed = train_one(two, Ranks())
    assert resumed["resumedFrom"] >= 3
    train_one(one, Ranks())
    assert losses(two) == pytest.approx(losses(one), abs=1e-3)


def test_no_process_outlives_the_one_that_started_it(model: Path, tmp_path: Path) -> None:
    process = start(job(model, tmp_path / "two", maxSteps=100_000))
    log_until(process, '"step 3 of 100000"')
    below = children(process.pid)
    assert len(below) >= 2
    process.kill()
    process.communicate()
    wait_until(lambda: not any(map(is_running, below)))
