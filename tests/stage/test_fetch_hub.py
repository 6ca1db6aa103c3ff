"""fetch from a hub and from an address, each stage in a process of its own against a stand-in."""

import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import source_files
from lab import Lab, on_small_disk, wait_for
from source_files import ADAPTER, config, safetensors
from standin_hub import COMMIT, TOKEN, Repository, StandinHub, serving

from olive_contract.failures import FailureClass
from olive_contract.keys import content_key
from olive_contract.stage import Report

MODEL = {
    **source_files.MODEL,
    "config.json": config(hidden_size=64),
    "model.safetensors": safetensors({"model.embed_tokens.weight": ("F32", (8, 64))}),
    "pytorch_model.bin": b"p" * 5000,
    "modeling_evil.py": b"import os",
}
ROWS = b'{"prompt": "a", "response": "b"}\n'


@pytest.fixture
def hub() -> Iterator[StandinHub]:
    repositories = {
        "models/owner/name": Repository(MODEL),
        "models/owner/gated": Repository(MODEL, gated=True),
        "models/owner/private": Repository(MODEL, private=True),
        "models/owner/damaged": Repository(MODEL, damaged=True),
        "models/owner/lora": Repository(ADAPTER),
        "datasets/owner/rows": Repository({"train/a.jsonl": ROWS, "README.md": b"#"}),
    }
    with serving(StandinHub(repositories)) as hub:
        yield hub


def environment(hub: StandinHub) -> dict[str, str]:
    return {
        "HF_ENDPOINT": hub.address,
        "HF_HUB_OFFLINE": "1",  # as the image says; fetch alone goes to the hub
        "OLIVE_HTTP_HOSTS": "127.0.0.1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def fetch(lab: Lab, hub: StandinHub, what: str, source: str, token: str = "") -> Report:
    lab.environment = {**environment(hub), **({"HF_TOKEN": token} if token else {})}
    stage = lab.input("fetch", {"what": what, "source": source})
    code, report, log = lab.finish(lab.start(stage))
    assert code == (0 if report.outcome == "Succeeded" else 1), log
    return report


def scratch_of(lab: Lab) -> Path:
    """Where an attempt at ``owner/name`` puts what another may find."""
    return lab.store.root / ".scratch" / f"fetch-{content_key('model', COMMIT)}" / "files"


def test_a_model_is_named_by_its_commit_and_brought_without_code_and_pickles(
    lab: Lab, hub: StandinHub
) -> None:
    report = fetch(lab, hub, "model", "hf://owner/name@main")
    assert report.key == content_key("model", COMMIT), report
    folder = lab.store.path(report.key)
    assert (folder / "model.safetensors").read_bytes() == MODEL["model.safetensors"]
    assert not any(name.endswith((".bin", ".py")) for name in hub.downloads())
    assert not list((lab.store.root / ".scratch").iterdir())
    lab.store.open(report.key)


def test_a_commit_that_is_in_the_store_is_not_read_again(lab: Lab, hub: StandinHub) -> None:
    fetch(lab, hub, "model", "hf://owner/name@main")
    hub.asked.clear()
    report = fetch(lab, hub, "model", f"hf://owner/name@{COMMIT}")
    assert report.cached
    assert not hub.downloads()


def test_sigterm_ends_a_download_that_waits_and_what_came_before_is_not_read_again(
    lab: Lab, hub: StandinHub
) -> None:
    hub.stalled.add("/cdn/models/owner/name/model.safetensors")
    lab.environment = environment(hub)
    process = lab.start(lab.input("fetch", {"what": "model", "source": "hf://owner/name"}))
    scratch = scratch_of(lab)
    for name in ("config.json", "tokenizer.json"):
        wait_for(scratch / ".cache" / "huggingface" / "download" / f"{name}.metadata", process)
    assert hub.asking.wait(60)
    process.send_signal(signal.SIGTERM)
    code, report, log = lab.finish(process)  # the server would never go on
    assert (code, report.reason) == (1, FailureClass.CANCELLED), log
    assert not lab.leftovers()
    hub.stalled.clear()
    hub.asked.clear()
    assert fetch(lab, hub, "model", "hf://owner/name").outcome == "Succeeded"
    assert hub.downloads() == ["model.safetensors"]
    assert not list((lab.store.root / ".scratch").iterdir())


def test_an_attempt_beside_one_that_waits_has_files_of_its_own(lab: Lab, hub: StandinHub) -> None:
    """What the first has is left alone; once it ended too, nothing of it stays."""
    hub.stalled.add("/cdn/models/owner/name/model.safetensors")
    lab.environment = environment(hub)
    process = lab.start(lab.input("fetch", {"what": "model", "source": "hf://owner/name"}))
    brought = scratch_of(lab) / "config.json"
    wait_for(brought, process)
    assert hub.asking.wait(60)
    hub.stalled.clear()
    try:
        report = fetch(lab, hub, "model", "hf://owner/name")
        assert (report.outcome, report.cached) == ("Succeeded", False), report
        assert lab.artifact(report.key)
        assert brought.exists()
    finally:
        process.send_signal(signal.SIGTERM)
        lab.finish(process)
    assert fetch(lab, hub, "model", "hf://owner/name").cached
    assert not lab.leftovers()
    assert not list((lab.store.root / ".scratch").iterdir())


def test_a_model_that_cannot_fit_is_not_begun(lab: Lab, hub: StandinHub) -> None:
    large = safetensors({"model.embed_tokens.weight": ("F32", (8, 64)), "w": ("U8", (3 << 20,))})
    hub.repositories["models/owner/large"] = Repository({**MODEL, "model.safetensors": large})
    prefix = on_small_disk(lab.store.root, "1m")
    lab.environment = environment(hub)
    stage = lab.input("fetch", {"what": "model", "source": "hf://owner/large"})
    _, report, log = lab.finish(lab.start(stage, *prefix))
    assert report.reason is FailureClass.DISK_FULL, log
    assert "the claim has 1.0 MiB free; this stage needs about 3.0 MiB" in report.message
    assert not hub.downloads()


def test_a_disk_that_fills_during_a_download_of_unknown_size(lab: Lab, hub: StandinHub) -> None:
    hub.pages["/rows"] = 200, {}, ROWS * 1000
    hub.endless.add("/rows")
    prefix = on_small_disk(lab.store.root, "4m")
    lab.environment = environment(hub)
    stage = lab.input("fetch", {"what": "data", "source": f"{hub.address}/rows"})
    _, report, log = lab.finish(lab.start(stage, *prefix))
    assert report.reason is FailureClass.DISK_FULL, log
    assert "the claim has " in report.message


def test_an_adapter_and_a_data_set(lab: Lab, hub: StandinHub) -> None:
    assert fetch(lab, hub, "adapter", "hf://owner/lora").outcome == "Succeeded"
    report = fetch(lab, hub, "data", "hf://datasets/owner/rows@main/train/a.jsonl")
    assert report.metrics == {"rows": 1}, report
    assert lab.artifact(report.key).about["commit"] == COMMIT


def test_a_private_model_needs_the_token(lab: Lab, hub: StandinHub) -> None:
    assert fetch(lab, hub, "model", "hf://owner/private", TOKEN).outcome == "Succeeded"


@pytest.mark.parametrize(
    ("what", "source", "failure", "says"),
    [
        ("model", "hf://owner/gated", FailureClass.AUTH_DENIED, "is gated: accept its terms"),
        ("model", "hf://owner/private", FailureClass.AUTH_DENIED, "answered 401"),
        ("model", "hf://owner/name@v9", FailureClass.SOURCE_NOT_FOUND, "has no revision 'v9'"),
        (
            "data",
            "hf://datasets/owner/rows/b.jsonl",
            FailureClass.SOURCE_NOT_FOUND,
            "has no file b.jsonl; it has README.md, train/a.jsonl",
        ),
        ("model", "hf://owner/lora", FailureClass.SOURCE_NOT_FOUND, "no config.json"),
        ("model", "hf://owner/damaged", FailureClass.STAGE_ERROR, "arrived damaged"),
    ],
)
def test_a_refusal_says_what_to_do(
    lab: Lab, hub: StandinHub, what: str, source: str, failure: FailureClass, says: str
) -> None:
    report = fetch(lab, hub, what, source)
    assert report.reason is failure, report
    assert says in report.message
    assert not lab.leftovers()


def test_a_model_that_is_not_there_for_somebody_with_a_token(lab: Lab, hub: StandinHub) -> None:
    report = fetch(lab, hub, "model", "hf://owner/nothing", TOKEN)
    assert report.reason is FailureClass.SOURCE_NOT_FOUND


def test_a_hub_that_cannot_be_reached_is_worth_another_attempt(lab: Lab, hub: StandinHub) -> None:
    hub.address = "http://127.0.0.1:1"
    report = fetch(lab, hub, "model", "hf://owner/name")
    assert report.reason is FailureClass.STAGE_ERROR
    assert report.message.endswith("(ConnectError); it may be unreachable")


def test_a_signature_is_not_kept_in_the_artifact(lab: Lab, hub: StandinHub) -> None:
    hub.pages["/rows"] = (200, {}, ROWS)
    report = fetch(lab, hub, "data", f"{hub.address}/rows?sig=secret")
    assert lab.artifact(report.key).about["source"] == "http://127.0.0.1/rows"


def test_a_signed_address_that_the_hub_sends_to_is_not_told_on(lab: Lab, hub: StandinHub) -> None:
    body = MODEL["model.safetensors"]
    assert isinstance(body, bytes)
    to = {
        "Location": f"{hub.address.replace('127.0.0.1', 'localhost')}/signed?sig=secret",
        "X-Repo-Commit": COMMIT,
        "X-Linked-Size": str(len(body)),
        "X-Linked-Etag": f'"{hashlib.sha256(body).hexdigest()}"',
    }
    hub.pages[f"/owner/name/resolve/{COMMIT}/model.safetensors"] = (302, to, b"")
    hub.pages["/signed"] = (410, {}, b"")
    lab.environment = environment(hub)
    stage = lab.input("fetch", {"what": "model", "source": "hf://owner/name"})
    _, report, log = lab.finish(lab.start(stage))
    assert report.reason is FailureClass.STAGE_ERROR, log
    assert "the hub failed for hf://owner/name" in report.message
    assert "410" in report.message
    assert "secret" not in report.to_json() + log


def test_data_by_address_is_followed_over_redirects(lab: Lab, hub: StandinHub) -> None:
    hub.pages["/rows"] = (302, {"Location": "/real.jsonl"}, b"")
    hub.pages["/real.jsonl"] = (200, {}, ROWS)
    assert fetch(lab, hub, "data", f"{hub.address}/rows").metrics == {"rows": 1}


@pytest.mark.parametrize("answers", [True, False], ids=["refused", "not reached"])
def test_a_signed_address_is_not_told_on(lab: Lab, hub: StandinHub, answers: bool) -> None:
    hub.pages["/rows"] = (403, {}, b"")
    address = hub.address if answers else "http://127.0.0.1:1"
    report = fetch(lab, hub, "data", f"{address}/rows?sig=secret")
    assert "127.0.0.1/rows" in report.message
    assert "secret" not in report.to_json()


@pytest.mark.parametrize(
    ("answer", "failure", "says"),
    [
        pytest.param((403, {}, b""), FailureClass.AUTH_DENIED, "answered 403", id="forbidden"),
        pytest.param((404, {}, b""), FailureClass.SOURCE_NOT_FOUND, "answered 404", id="absent"),
        pytest.param((500, {}, b""), FailureClass.STAGE_ERROR, "answered 500", id="broken"),
        pytest.param(
            (302, {"Location": "http://localhost:1/x"}, b""),
            FailureClass.INVALID_INPUT,
            "which is not https",
            id="redirect to plain http",
        ),
        pytest.param(
            (200, {"Content-Length": "9999"}, ROWS),
            FailureClass.STAGE_ERROR,
            "broke off after",
            id="cut short",
        ),
    ],
)
def test_an_address_that_gives_no_data(
    lab: Lab,
    hub: StandinHub,
    answer: tuple[int, dict[str, str], bytes],
    failure: FailureClass,
    says: str,
) -> None:
    hub.pages["/rows"] = answer
    report = fetch(lab, hub, "data", f"{hub.address}/rows")
    assert report.reason is failure, report
    assert says in report.message
