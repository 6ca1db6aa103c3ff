"""The stage as a whole: what it leaves, what it says of itself, how many processes it takes."""

import json
from pathlib import Path
from typing import Any

import pytest
from loras import lora
from small_models import make

from olive_contract.artifact import Artifact
from olive_contract.params import FinetuneParams
from olive_contract.store import Store
from olive_stage import finetune
from olive_stage.ranks import Ranks
from olive_stage.work import Work

MODEL, DATA = "a" * 64, "b" * 64


def artifact(key: str) -> Artifact:
    return Artifact(key, "fetch", {}, {}, (), {}, {}, {}, 0.0, 0.0, "")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """A small model and sixteen rows in a store, and a folder to write into."""
    store = Store(tmp_path)
    make(store.path(MODEL), "llama")
    store.path(DATA).mkdir()
    rows = [{"a": " ".join(map(str, range(3, 6 + n)))} for n in range(16)]
    (store.path(DATA) / "data.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "out").mkdir()
    needed: list[int] = []
    inputs = {"model": artifact(MODEL), "data": artifact(DATA)}
    return Work("c" * 64, store, inputs, tmp_path / "out", needed.append)


def asked(**changes: Any) -> FinetuneParams:
    return FinetuneParams("{a}", 0.25, lora(**{"maxSteps": 3, "maxLength": 12, **changes}))


def test_it_leaves_the_adapter_and_the_curve_of_its_losses(
    work: Work, capfd: pytest.CaptureFixture[str]
) -> None:
    made = finetune.make(asked(), work)
    assert {path.name for path in work.out.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "losses.json",
    }
    curve = json.loads((work.out / "losses.json").read_text())
    assert [step for step, _ in curve] == [1, 2, 3]
    assert made.metrics["trainLoss"] == pytest.approx(sum(loss for _, loss in curve) / 3)
    assert made.metrics["trainableParameters"] == 2 * 8 * (128 + 96 + 96 + 128 + 3 * 192)
    assert {"evalLoss", "tokensPerSecond", "steps", "resumedFrom"} <= made.metrics.keys()
    assert made.about == {"trainedOn": MODEL, "heldOut": 4, "processes": 1}
    said = capfd.readouterr().out
    assert "12 rows to train on, 4 held out" in said
    assert "rows are longer than maxLength 12 tokens and are cut" in said


@pytest.mark.parametrize(("gpus", "batch", "expected"), [(2, 8, 2), (4, 3, 3), (8, 1, 1)])
def test_no_process_is_without_a_row(
    work: Work, monkeypatch: pytest.MonkeyPatch, gpus: int, batch: int, expected: int
) -> None:
    """One process a GPU, but no more than a batch has rows; the fullest GPU is told of."""
    started: list[Ranks] = []

    def train_one(job: finetune.Job, ranks: Ranks) -> dict[str, float]:
        started.append(ranks)
        return {"trainLoss": 1.0, "peakGpuMemoryBytes": 10.0 + ranks.rank}

    def launch(work: Any, job: finetune.Job, count: int) -> list[dict[str, float]]:
        return [work(job, Ranks(rank, count)) for rank in range(count)]

    monkeypatch.setattr(finetune, "processes", lambda: gpus)
    monkeypatch.setattr(finetune, "train_one", train_one)
    monkeypatch.setattr(finetune, "launch", launch)
    made = finetune.make(asked(batchSize=batch), work)
    assert len(started) == made.about["processes"] == expected
    assert made.metrics["peakGpuMemoryBytes"] == 9.0 + expected
