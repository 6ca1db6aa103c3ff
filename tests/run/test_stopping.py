"""A run that is stopped, politely or not, and the run that goes on from there."""

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from olive_contract.store import Store
from run.here import LONG, Here, adapter, spec, until

TRAINING = spec(adapter("travel", maxSteps=LONG), evaluate=None)


def going_on(here: Here) -> int:
    """The step that a new run's training goes on from; the run is stopped then."""
    log = next(here.store.glob(".logs/*finetune-travel*.log"))
    log.unlink()
    with here.begun(TRAINING, "--until", "finetune/travel") as process:
        until(lambda: log.exists() and "going on from checkpoint-" in log.read_text(), process)
    found = re.search(r"going on from checkpoint-(\d+)", log.read_text())
    assert found
    return int(found[1])


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_run_told_to_stop_ends_its_stages(
    here: Here, number: signal.Signals, status: int
) -> None:
    with here.begun(spec(), "--until", "quantize") as process:
        until(here.processes, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert out.splitlines()[-1] == "stopped; the same command goes on from here"
    assert err == ""
    assert here.processes() == []


def test_a_second_ctrl_c_does_not_wait_for_a_stage_that_hangs(here: Here) -> None:
    with here.begun(spec(), "--until", "quantize") as process:
        until(lambda: any(map(hangs, here.processes())), process)
        process.send_signal(signal.SIGINT)
        until(lambda: any(map(pending_term, here.processes())), process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 130
    assert here.processes() == []


def hangs(process: int) -> bool:
    """Let it hear nothing, as one stuck in a driver; False while it may still end by itself."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGSTOP)
    return told(process, "State").startswith("T")


def pending_term(process: int) -> bool:
    """Whether SIGTERM was sent to the process and not taken yet."""
    return bool(int(told(process, "ShdPnd") or "0", 16) & 1 << signal.SIGTERM - 1)


def told(process: int, field: str) -> str:
    """A field of the process's status (proc(5)); nothing of one that is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        status = Path(f"/proc/{process}/status").read_text()
        found = re.search(rf"^{field}:\s*(.+)$", status, re.MULTILINE)
        return found[1] if found else ""
    return ""


def test_a_training_goes_on_where_it_was_stopped(after: Here) -> None:
    with after.begun(TRAINING, "--until", "finetune/travel") as process:
        until(after.checkpoints, process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    newest = max(int(name.split("-")[1]) for name in after.checkpoints())
    assert going_on(after) >= newest > 0


def test_nothing_is_left_over_of_a_run_that_is_killed_and_the_next_goes_on(after: Here) -> None:
    with after.begun(TRAINING, "--until", "finetune/travel") as process:
        until(after.checkpoints, process)
        assert len(after.processes()) == 1
        process.kill()
        process.communicate()
    until(lambda: not after.processes())
    assert going_on(after) > 0


def test_a_stage_that_is_killed_is_tried_again(after: Here) -> None:
    what = spec(adapter("travel", alpha=2))
    with after.begun(what, "--json") as process:
        until(after.processes, process)
        os.kill(after.processes()[0], signal.SIGKILL)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    assert "OutOfMemory: the process was killed (SIGKILL)" in out
    assert "attempt 2" in out


def test_a_damaged_input_is_made_again(after: Here) -> None:
    told = after.run(spec(), "--json")
    key = told.stage("quantize")["key"]
    (after.store / key / "config.json").write_text("{}")
    again = after.run(spec(adapter("travel", alpha=2)), "--json")
    assert again.code == 0, again.out
    assert "InputMissing" in again.out
    assert "quantize" in again.built()
    Store(after.store).open(key)
