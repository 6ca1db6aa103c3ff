"""What goes wrong with any command: one sentence, an exit code that tells it, and no traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import World

from olive_cli.argv.parser import COMMANDS

from .api import Objects, Olive, at, namespace
from .jobs import lived
from .standin import served
from .test_cluster import kubeconfig

ROOT = Path(__file__).parents[2]
FORBIDDEN = json.dumps({"message": 'User "jo" cannot get resource "optimizationjobs"'})

WORDS: dict[str, list[str]] = {
    "ask": ["travel", "Where?"],
    "logs": ["travel", "quantize"],
    "artifacts": ["--of", "travel"],
    "gc": [],
}
"""What each command is given; the name of a job unless it is told here."""
ABOUT_A_JOB = sorted(COMMANDS.keys() - {"diff", "gc"})


def words(command: str) -> list[str]:
    return [command, *WORDS.get(command, ["travel"])]


@pytest.mark.parametrize("command", ABOUT_A_JOB)
def test_no_such_job(olive: Olive, command: str) -> None:
    near = lived(World(), name="travels")
    ended = olive.asked(namespace(optimizationjobs=[near]), *words(command))
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == "error: optimizationjob ml/travel: no such job; did you mean travels?"


@pytest.mark.parametrize("command", ABOUT_A_JOB)
def test_no_right_to_see_it(olive: Olive, command: str) -> None:
    objects = Objects(texts={at("optimizationjobs", "travel"): (403, FORBIDDEN)})
    ended = olive.asked(objects, *words(command))
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        "error: you may not get optimizationjobs.olive-operator.io in namespace ml: ask for the "
        "chart's role olive-operator-view (the role view has it) there"
    )


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"diff", "watch"}))
def test_nobody_answers(olive: Olive, command: str) -> None:
    """A watch waits for an API server that is restarted; no other command does."""
    kubeconfig(olive.folder, "http://127.0.0.1:1")
    ended = olive(*words(command))
    assert (ended.code, ended.out) == (5, "")
    assert ended.err == (
        "error: the API server does not answer: [Errno 111] Connection refused (http://127.0.0.1:1)"
    )


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"diff"}))
def test_a_cluster_without_the_operator(olive: Olive, command: str) -> None:
    ended = olive.asked(Objects(), *words(command))
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("error: the cluster has no OptimizationJobs of olive-operator.io: ")
    assert "\n" not in ended.err


def test_a_cluster_with_a_newer_version_only(olive: Olive) -> None:
    group = json.dumps(
        {"kind": "APIGroup", "versions": [{"version": "v1"}, {"version": "v1beta1"}]}
    )
    objects = Objects(texts={"/apis/olive-operator.io": (200, group)})
    ended = olive.asked(objects, "status", "travel")
    assert ended.code == 3
    assert ended.err == (
        "error: the cluster has OptimizationJobs of olive-operator.io in v1, v1beta1, and this "
        "kubectl-olive knows v1alpha1: install the one that came with that operator"
    )


@pytest.mark.parametrize("flag", [[], ["-A"]])
def test_no_right_to_list(olive: Olive, flag: list[str]) -> None:
    everywhere = "/apis/olive-operator.io/v1alpha1/optimizationjobs"
    refused = (403, json.dumps({"message": "jo cannot list"}))
    objects = Objects(texts={at("optimizationjobs"): refused, everywhere: refused})
    ended = olive.asked(objects, "status", *flag)
    place = "in all namespaces" if flag else "in namespace ml"
    assert ended.code == 4
    assert f"you may not list optimizationjobs.olive-operator.io {place}: ask for" in ended.err


def test_a_kubeconfig_that_is_not_there(olive: Olive) -> None:
    ended = olive("status")
    assert ended.code == 5
    assert ended.err.startswith("error: no cluster: ")
    assert ended.err.count("\n") == 0


def test_a_context_that_is_not_there(olive: Olive) -> None:
    kubeconfig(olive.folder, "http://127.0.0.1:1")
    ended = olive("status", "--context", "prod")
    assert ended.code == 5
    assert "no context 'prod'; there are here, plain; set KUBECONFIG or give" in ended.err


def test_a_credential_program_that_fails_is_told(olive: Olive) -> None:
    path = Path(kubeconfig(olive.folder, "http://127.0.0.1:1"))
    config: dict[str, Any] = yaml.safe_load(path.read_text())
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/nowhere/login"}
    config["users"][0]["user"] = {"exec": program}
    path.write_text(yaml.safe_dump(config))
    ended = olive("status")
    assert (ended.code, "\n" in ended.err) == (5, False)


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    """As of `kubectl olive status | head`: nothing on standard error, and the pipe's exit code."""
    jobs = [lived(World().settle(), name=f"job-{n}") for n in range(40)]
    with served(namespace(optimizationjobs=jobs)) as api:
        path = kubeconfig(tmp_path, api.url)
        read, write = os.pipe()
        os.close(read)
        process = subprocess.Popen(
            [sys.executable, "-m", "olive_cli", "status", f"--kubeconfig={path}"],
            env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(write)
        _, said = process.communicate()
    assert (process.returncode, said) == (141, "")


def test_interrupted(olive: Olive, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("olive_cli.commands.status.status", stop)
    assert olive.asked(namespace(), "status").code == 130


def run(folder: Path, url: str, *words: str, **how: Any) -> "subprocess.Popen[str]":
    """As a shell runs it."""
    return subprocess.Popen(
        [sys.executable, "-m", "olive_cli", *words, f"--kubeconfig={kubeconfig(folder, url)}"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
        stderr=subprocess.PIPE,
        text=True,
        **how,
    )


def test_an_output_that_was_closed_from_the_start_is_nothing_wrong(tmp_path: Path) -> None:
    """As of `kubectl olive status >&-`, for its exit code alone."""
    with served(namespace(optimizationjobs=[lived(World().settle())])) as api:
        for words in (["status"], ["status", "travel"], ["why", "travel"]):
            process = run(tmp_path, api.url, *words, preexec_fn=lambda: os.close(1))
            assert (process.communicate()[1], process.returncode) == ("", 0)


@pytest.mark.parametrize("words", [["status", "travel"], ["why", "travel"]])
def test_an_output_that_takes_no_more(tmp_path: Path, words: list[str]) -> None:
    jobs = [lived(World().settle())]
    with served(namespace(optimizationjobs=jobs)) as api, open("/dev/full", "w") as full:
        process = run(tmp_path, api.url, *words, stdout=full)
        said = process.communicate()[1]
    assert (process.returncode, said) == (6, "error: No space left on device\n")


def test_ended_by_a_signal_it_leaves_no_way_open(tmp_path: Path) -> None:
    """The model never answers; whoever asked is told to end, and kubectl ends with it."""
    (tmp_path / "kubectl").write_text(
        "#!/bin/sh\n"
        f"echo $$ > {tmp_path}/pid\n"
        'echo "Forwarding from 127.0.0.1:1 -> 80"; exec sleep 60\n'
    )
    (tmp_path / "kubectl").chmod(0o755)
    status = {"serving": {"replicas": 1}, "phase": "Ready"}
    job = {**lived(World()), "status": status}
    with served(namespace(optimizationjobs=[job])) as api:
        env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT / "operator")}
        where = f"--kubeconfig={kubeconfig(tmp_path, api.url)}"
        process = subprocess.Popen(
            [sys.executable, "-m", "olive_cli", "chat", "travel", where],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout
        assert b"base of base" in process.stdout.readline()
        process.terminate()
        process.communicate()
    assert process.returncode == 128 + 15
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_a_defect_is_no_answer(olive: Olive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where 1 means that something would run, a traceback is another code."""

    def broken(*_: Any) -> int:
        raise LookupError("ours")

    monkeypatch.setattr("olive_cli.commands.diff.diff", broken)
    ended = olive.asked(namespace(), "diff", "-f", "travel.yaml")
    assert (ended.code, ended.err.splitlines()[-1]) == (70, "LookupError: ours")
