"""The frame around every stage: hits, damage, missing inputs, full disks, signals, reports."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import Chain, Fetched
from lab import REPOSITORY, RTN, STAGE, Lab, finetune, on_small_disk, wait_for
from source_files import MODEL, WEIGHTS, safetensors

from olive_contract.failures import FailureClass
from olive_contract.stage import Progress


def borrow(lab: Lab, shared: Lab, *keys: str) -> None:
    """Copies of artifacts in a store of the test's own."""
    for key in keys:
        shutil.copytree(shared.store.path(key), lab.store.path(key))


def test_a_damaged_artifact_is_made_again(
    lab: Lab, shared: Lab, fetched: Fetched, rtn: Chain
) -> None:
    borrow(lab, shared, fetched.model, rtn.quantized)
    weights = lab.store.path(rtn.quantized) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    report = lab.run("quantize", RTN, model=fetched.model)
    assert (report.outcome, report.cached) == ("Succeeded", False)
    lab.store.open(rtn.quantized)
    assert not lab.leftovers()


def test_a_damaged_input_is_named(lab: Lab, shared: Lab, fetched: Fetched) -> None:
    borrow(lab, shared, fetched.model)
    (lab.store.path(fetched.model) / "config.json").write_text("{}")
    report = lab.run("quantize", RTN, model=fetched.model)
    assert (report.reason, report.missing) == (FailureClass.INPUT_MISSING, fetched.model)
    assert "config.json is not what was written" in report.message


def test_an_absent_input_is_named(lab: Lab) -> None:
    report = lab.run("quantize", RTN, model="f" * 64)
    assert (report.reason, report.missing) == (FailureClass.INPUT_MISSING, "f" * 64)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not json", "the stage input cannot be read"),
        ("{}", "the stage input cannot be read: StageInput: field 'name' is missing"),
        ('{"name": "x", "kind": "bake", "params": {}}', "no stage of kind 'bake'"),
        (
            '{"name": "x", "kind": "quantize", "params": {"algorithm": "magic"}}',
            "a parameter is wrong: algorithm: 'magic' is none of awq, gptq, rtn",
        ),
    ],
)
def test_an_input_that_cannot_be_read_is_reported(lab: Lab, text: str, says: str) -> None:
    text = text.replace("}}", f'}}, "store": "{lab.store.root}"}}')
    code, report, _ = lab.finish(lab.start(text))
    assert code == 1
    assert report.reason is FailureClass.INVALID_INPUT
    assert says in report.message


def test_an_unexpected_error_has_its_message_in_the_report_and_its_traceback_in_the_log(
    lab: Lab,
) -> None:
    stage = lab.input("fetch", {"what": "data", "source": lab.claim("a.jsonl", '{"a": 1}')})
    (lab.store.root / ".building").write_text("a file where a folder belongs")
    code, report, log = lab.finish(lab.start(stage))
    assert code == 1
    assert report.reason is FailureClass.STAGE_ERROR
    assert "FileExistsError" in report.message
    assert "Traceback" not in report.message
    assert "Traceback" in log


def test_a_full_disk_says_what_is_free_and_what_is_needed(lab: Lab) -> None:
    prefix = on_small_disk(lab.store.root, "1m")
    large = safetensors({**WEIGHTS, "w": ("U8", (3 << 20,))})
    for name, body in {**MODEL, "model.safetensors": large}.items():
        lab.claim(f"model/{name}", body)
    stage = lab.input("fetch", {"what": "model", "source": "pvc://team/model"})
    code, report, _ = lab.finish(lab.start(stage, *prefix))
    assert code == 1
    assert report.reason is FailureClass.DISK_FULL
    assert "the claim has 1.0 MiB free" in report.message
    assert "this stage needs about 3.0 MiB" in report.message


def test_a_disk_that_fills_inside_a_library_is_a_full_disk(
    lab: Lab, shared: Lab, fetched: Fetched
) -> None:
    """The quantized model is 3.4 MB and written by safetensors, whose error tells no errno."""
    prefix = on_small_disk(lab.store.root, "14m")
    copy = f'cp -r {shared.store.path(fetched.model)} {lab.store.root} && exec "$@"'
    stage = lab.input("quantize", RTN, model=fetched.model)
    code, report, log = lab.finish(lab.start(stage, *prefix, "sh", "-c", copy, "sh"))
    assert code == 1
    assert report.reason is FailureClass.DISK_FULL, log


def test_a_process_that_gets_no_more_memory_says_so(lab: Lab) -> None:
    for name, body in MODEL.items():
        lab.claim(f"model/{name}", body)
    lists = b'{"weight_map": [' + b"[]," * 6_000_000 + b"[]]}"  # half a gigabyte when it is read
    lab.claim("model/model.safetensors.index.json", lists)
    stage = lab.input("fetch", {"what": "model", "source": "pvc://team/model"})
    bounded = ["sh", "-c", 'ulimit -v 600000 && exec "$@"', "sh"]
    code, report, log = lab.finish(lab.start(stage, *bounded))
    assert (code, report.reason) == (1, FailureClass.OUT_OF_MEMORY), log
    assert not lab.leftovers()


def test_a_killed_training_goes_on_from_its_last_whole_checkpoint(
    lab: Lab, shared: Lab, fetched: Fetched, rtn: Chain, capfd: pytest.CaptureFixture[str]
) -> None:
    """To the very same adapter that an attempt without interruption makes."""
    borrow(lab, shared, rtn.quantized, fetched.travel)
    inputs = {"model": rtn.quantized, "data": fetched.travel}
    params = finetune(maxSteps=60)
    stage = lab.input("finetune", params, **inputs)
    process = lab.start(stage)
    checkpoints = lab.store.root / ".scratch" / stage.key / "checkpoints"
    wait_for(checkpoints / "checkpoint-20" / "whole", process)
    process.kill()
    process.communicate()
    newest = max(int(p.parent.name.split("-")[1]) for p in checkpoints.glob("*/whole"))
    half = checkpoints / f"checkpoint-{newest + 10}"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()  # as a kill in the middle of writing leaves one
    (half / "adapter_config.json").write_text("{")
    assert not lab.store.path(stage.key).exists()

    resumed = lab.make("finetune", params, **inputs)
    said = capfd.readouterr().out
    assert f"going on from checkpoint-{newest}" in said
    steps = [p for line in said.splitlines() if (p := Progress.from_line(line)) and p.loss]
    assert len(steps) == 60 - newest
    assert not (lab.store.root / ".scratch" / resumed).exists()

    straight = shared.make("finetune", params, **inputs)
    assert straight == resumed
    file = "adapter_model.safetensors"
    one, other = (x.store.path(resumed) / file for x in (lab, shared))
    assert one.read_bytes() == other.read_bytes()
    for name in ("trainLoss", "evalLoss"):
        assert lab.artifact(resumed).metrics[name] == shared.artifact(resumed).metrics[name]


def test_sigterm_ends_a_training_promptly_and_keeps_its_checkpoints(
    lab: Lab, shared: Lab, fetched: Fetched, rtn: Chain
) -> None:
    borrow(lab, shared, rtn.quantized, fetched.travel)
    inputs = {"model": rtn.quantized, "data": fetched.travel}
    stage = lab.input("finetune", finetune(maxSteps=500), **inputs)
    process = lab.start(stage)
    checkpoint = lab.store.root / ".scratch" / stage.key / "checkpoints" / "checkpoint-50"
    wait_for(checkpoint / "whole", process)
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, report, log = lab.finish(process)
    assert time.monotonic() - sent < 10
    assert code == 1
    assert report.reason is FailureClass.CANCELLED, log
    assert not lab.store.path(stage.key).exists()
    assert not lab.leftovers()
    assert (checkpoint / "whole").exists()


def test_progress_lines_tell_percent_remaining_time_and_loss(
    lab: Lab, shared: Lab, fetched: Fetched, rtn: Chain, capfd: pytest.CaptureFixture[str]
) -> None:
    borrow(lab, shared, rtn.quantized, fetched.travel)
    lab.make("finetune", finetune(maxSteps=10), model=rtn.quantized, data=fetched.travel)
    found = [Progress.from_line(line) for line in capfd.readouterr().out.splitlines()]
    steps = [p for p in found if p and p.loss is not None]
    assert [p.message for p in steps] == [f"step {n} of 10" for n in range(1, 11)]
    assert [p.percent for p in steps] == sorted(p.percent for p in steps)
    assert steps[-1].remainingSeconds == 0
    assert all(p.remainingSeconds is not None for p in steps)


@pytest.mark.parametrize("kind", ["fetch", "check", "adapter", "evaluate", "sweep"])
def test_what_the_slim_image_runs_does_not_import_torch(kind: str) -> None:
    code = f"import olive_stage.{kind}, sys; print('torch' in sys.modules)"
    path = f"{STAGE}:{REPOSITORY / 'operator'}"
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out.strip() == "False"
