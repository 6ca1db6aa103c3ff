"""fetch from an address: transfers that break off, digests, and addresses that are never asked."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from lab import Lab
from standin_hub import StandinHub, serving

from olive_contract.failures import FailureClass
from olive_contract.stage import Report

ROWS = b"".join(json.dumps({"prompt": f"Question {n}"}).encode() + b"\n" for n in range(500))
TAGGED = (200, {"ETag": '"one"'}, ROWS)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandinHub]:
    """A server that may be read over plain http."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    monkeypatch.setenv("OLIVE_HTTP_HOSTS", "127.0.0.1")
    with serving(StandinHub()) as hub:
        yield hub


def fetch(lab: Lab, source: str, **params: str) -> Report:
    return lab.run("fetch", {"what": "data", "source": source, **params})


def scratch(lab: Lab) -> list[str]:
    return [path.name for path in (lab.store.root / ".scratch").glob("*/*")]


def test_a_transfer_that_broke_off_goes_on_where_it_stopped(lab: Lab, web: StandinHub) -> None:
    web.pages["/rows"], web.cuts["/rows"] = TAGGED, 4000
    assert fetch(lab, f"{web.address}/rows").reason is FailureClass.STAGE_ERROR
    assert not lab.leftovers()
    web.cuts.clear()
    part = next((lab.store.root / ".scratch").glob("*/files/download"))
    assert part.stat().st_size == 4000
    web.pages["/rows"] = (200, {"ETag": '"one"'}, b"x" * 4000 + ROWS[4000:])  # not asked for again
    report = fetch(lab, f"{web.address}/rows")
    assert report.metrics == {"rows": 500}, report
    assert (lab.store.path(report.key) / "data.jsonl").read_bytes() == ROWS
    assert not scratch(lab)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param((200, {"ETag": '"two"'}, ROWS), id="another file now"),
        pytest.param((200, {}, ROWS), id="a server that tells no tag any more"),
    ],
)
def test_what_was_begun_is_given_up_if_the_file_changed(
    lab: Lab, web: StandinHub, changed: tuple[int, dict[str, str], bytes]
) -> None:
    web.pages["/rows"], web.cuts["/rows"] = (200, {"ETag": '"one"'}, b"?" * len(ROWS)), 4000
    fetch(lab, f"{web.address}/rows")
    web.pages["/rows"] = changed
    web.cuts.clear()
    report = fetch(lab, f"{web.address}/rows")
    assert (lab.store.path(report.key) / "data.jsonl").read_bytes() == ROWS


def test_a_server_without_tags_is_read_from_the_beginning(lab: Lab, web: StandinHub) -> None:
    web.pages["/rows"], web.cuts["/rows"] = (200, {}, ROWS), 4000
    assert fetch(lab, f"{web.address}/rows").reason is FailureClass.STAGE_ERROR
    web.cuts.clear()
    assert fetch(lab, f"{web.address}/rows").metrics == {"rows": 500}


def test_the_file_that_the_job_means_is_taken(lab: Lab, web: StandinHub) -> None:
    web.pages["/rows"] = TAGGED
    digest = hashlib.sha256(ROWS).hexdigest()
    assert fetch(lab, f"{web.address}/rows", sha256=digest).outcome == "Succeeded"
    source = lab.claim("rows.jsonl", ROWS)
    assert fetch(lab, source, sha256=digest).outcome == "Succeeded"


def test_another_file_than_the_job_means_is_refused_and_both_are_named(
    lab: Lab, web: StandinHub
) -> None:
    web.pages["/rows"] = TAGGED
    report = fetch(lab, f"{web.address}/rows", sha256="0" * 64)
    assert report.reason is FailureClass.INVALID_INPUT
    assert hashlib.sha256(ROWS).hexdigest() in report.message
    assert "0" * 64 in report.message
    assert not scratch(lab)


def test_a_file_that_cannot_fit_is_not_begun(lab: Lab, web: StandinHub) -> None:
    web.pages["/rows"] = (200, {"Content-Length": str(1 << 40)}, b"")
    report = fetch(lab, f"{web.address}/rows")
    assert report.reason is FailureClass.INVALID_INPUT
    assert "has 1.0 TiB; a data set has at most 1.0 GiB" in report.message


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("https://169.254.169.254/latest/meta-data", id="the node's metadata"),
        pytest.param("https://[fe80::1]/x", id="link-local"),
        pytest.param("https://127.0.0.2/x", id="the pod itself"),
        pytest.param("https://[::1]/x", id="the pod itself by IPv6"),
        pytest.param("https://0.0.0.0/x", id="no address"),
        pytest.param("https://2852039166/x", id="the metadata's address as one number"),
        pytest.param("https://[::ffff:169.254.169.254]/x", id="IPv4 inside IPv6"),
    ],
)
@pytest.mark.parametrize("by", ["itself", "redirect"])
def test_addresses_of_the_node_and_the_pod_are_never_asked(
    lab: Lab, web: StandinHub, address: str, by: str
) -> None:
    web.pages["/rows"] = (302, {"Location": address}, b"")
    report = fetch(lab, address if by == "itself" else f"{web.address}/rows")
    assert report.reason is FailureClass.INVALID_INPUT
    assert "an address of the node or of this pod" in report.message


def test_a_file_that_came_whole_before_the_attempt_ended_is_no_error(
    lab: Lab, web: StandinHub
) -> None:
    """There is no rest to ask for, which the server says by 416."""
    web.pages["/rows"], web.cuts["/rows"] = TAGGED, 4000
    fetch(lab, f"{web.address}/rows")
    web.cuts.clear()
    part = next((lab.store.root / ".scratch").glob("*/files/download"))
    part.write_bytes(ROWS)
    assert fetch(lab, f"{web.address}/rows").metrics == {"rows": 500}


@pytest.mark.parametrize("file", ["download", "validator.json"])
def test_a_kill_while_another_version_is_begun_leaves_no_mixture(
    lab: Lab, web: StandinHub, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """The attempt ends just before it opens ``file`` to write."""
    web.pages["/rows"], web.cuts["/rows"] = (200, {"ETag": '"one"'}, b"?" * len(ROWS)), 4000
    fetch(lab, f"{web.address}/rows")
    web.pages["/rows"] = (200, {"ETag": '"two"'}, ROWS)
    web.cuts.clear()
    opened = Path.open

    def killed(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if path.name == file and mode[0] in "wa":
            raise ConnectionResetError
        return opened(path, mode, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", killed)
        assert fetch(lab, f"{web.address}/rows").reason is FailureClass.STAGE_ERROR
    report = fetch(lab, f"{web.address}/rows")
    assert report.metrics == {"rows": 500}, report
    assert (lab.store.path(report.key) / "data.jsonl").read_bytes() == ROWS


def test_two_attempts_at_one_address_do_not_damage_what_the_other_writes(
    lab: Lab, web: StandinHub
) -> None:
    """The second comes, reads all and ends while the first has half of the file."""
    half, rest = threading.Event(), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            first = not half.is_set()
            self.send_response(200)
            self.send_header("Content-Length", str(len(ROWS)))
            self.end_headers()
            self.wfile.write(ROWS[:4000])
            half.set()
            if first:
                rest.wait()
            self.wfile.write(ROWS[4000:])

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        source = f"http://127.0.0.1:{server.server_port}/rows"
        process = lab.start(lab.input("fetch", {"what": "data", "source": source}))
        try:
            assert half.wait(60)
            second = fetch(lab, source)
        finally:
            rest.set()
            _, first, log = lab.finish(process)
            server.shutdown()
    assert second.outcome == "Succeeded", second
    assert first.outcome == "Succeeded", log
    assert first.key == second.key
    assert (lab.store.path(first.key) / "data.jsonl").read_bytes() == ROWS
    assert lab.artifact(first.key)
    assert not lab.leftovers()
    assert not scratch(lab)
