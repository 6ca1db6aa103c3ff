"""kubectl olive as a person types it, with a real API server and a real kubectl behind it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import adapter
from programs import ROOT

from .kubectl import Kubectl, Manifest
from .operators import Jobs, Operator
from .standin_node import StandInNode
from .test_operator import plain

CRD = ROOT / "crds" / "optimizationjobs.olive-operator.io.yaml"


@dataclass(frozen=True)
class Ended:
    """What a command has printed, and its exit code."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        assert "Traceback" not in self.err
        assert self.err.count("\n") <= 1, "what is wrong is one sentence"


@dataclass(frozen=True)
class Olive:
    """``kubectl olive`` with a kubeconfig, and with the tests' kubectl on the PATH."""

    kubectl: Kubectl
    kubeconfig: Path

    def __call__(self, *words: str, stdin: str | None = None, **how: Any) -> Ended:
        where = [f"--kubeconfig={self.kubeconfig}", f"--namespace={self.kubectl.namespace}"]
        path = f"{Path(self.kubectl.program).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            [sys.executable, "-m", "olive_cli", *words, *where],
            env={**os.environ, "PYTHONPATH": str(ROOT / "operator"), "PATH": path},
            input=stdin,
            stderr=subprocess.PIPE,
            text=True,
            **{"stdout": subprocess.PIPE, **how},
        )
        return Ended(done.returncode, done.stdout or "", done.stderr)

    def diff(self, manifest: Manifest) -> Ended:
        """What applying it would run."""
        return self("diff", "--filename=-", stdin=json.dumps(manifest))


@pytest.fixture
def ml(crds: Kubectl, namespace: str) -> Kubectl:
    return replace(crds, namespace=namespace)


@pytest.fixture
def olive(ml: Kubectl) -> Olive:
    return Olive(ml, ml.kubeconfig)


def travel(**sections: Any) -> Manifest:
    return {
        "apiVersion": "olive-operator.io/v1alpha1",
        "kind": "OptimizationJob",
        "metadata": {"name": "travel"},
        "spec": plain(**sections),
    }


def runs(ended: Ended) -> list[str]:
    """The stages that a diff says would run."""
    rows = [line.split() for line in ended.out.splitlines()]
    return [row[0] for row in rows if row[1:2] == ["runs"]]


def test_from_the_first_look_to_an_edit(
    olive: Olive, ml: Kubectl, jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    assert olive("status").out == f"namespace {ml.namespace} has no OptimizationJobs\n"
    new = olive.diff(travel())
    assert (new.code, len(runs(new))) == (1, 9)
    assert jobs.attempts() == [], "a diff changes nothing"

    ml.apply(travel())
    assert olive("watch", "travel", "--timeout=60").code == 0
    shown = olive("status", "travel")
    assert (shown.code, "9/9 stages" in shown.out) == (0, True)
    assert olive("why", "travel").out.startswith("travel is ready: ")
    assert olive.diff(travel()).out.endswith("travel: nothing would run\n")
    assert olive.diff(travel()).code == 0

    edit = travel(adapters=[adapter("travel", rank=32)])
    told = olive.diff(edit)
    assert told.code == 1
    assert "lora.rank 16 → 32" in told.out
    before = list(node.ran)
    ml.apply(edit)
    assert olive("watch", "travel", "--timeout=60").code == 0
    assert sorted(node.ran[len(before) :]) == sorted(runs(told)), "it was foretold"


def test_a_field_that_the_file_no_longer_has_is_told_by_whoever_applied_it(
    olive: Olive, ml: Kubectl
) -> None:
    """The default comes back, if it is asked for as by the manager that has set the field."""
    own, default = {"algorithm": "rtn", "groupSize": 64}, {"algorithm": "rtn"}
    ml.apply(travel(quantize=own), "--server-side", "--field-manager=argocd-controller")
    assert "groupSize 64 → 128" in olive.diff(travel(quantize=default)).out


def test_a_manifest_that_the_api_server_refuses(olive: Olive) -> None:
    ended = olive.diff(travel(quantize={"algorithm": "int3"}))
    assert (ended.code, ended.out) == (2, "")
    assert "would be refused: " in ended.err
    assert "spec.quantize.algorithm" in ended.err


@pytest.mark.parametrize("words", [["status"], ["why", "travel"], ["diff", "-f", str(CRD)]])
def test_a_context_that_is_not_there(olive: Olive, words: list[str]) -> None:
    ended = olive(*words, "--context=prod")
    assert (ended.code, ended.out) == (5, "")
    assert "no context 'prod'; there are " in ended.err


def test_a_job_that_is_not_there(olive: Olive, ml: Kubectl) -> None:
    ml.apply(travel())
    ended = olive("why", "travle")
    assert (ended.code, "did you mean travel?" in ended.err) == (3, True)


@pytest.fixture
def somebody(ml: Kubectl, tmp_path: Path) -> Olive:
    """A person without any right: a ServiceAccount."""
    ml("create", "serviceaccount", "jo")
    config = yaml.safe_load(ml.kubeconfig.read_text())
    token = ml("create", "token", "jo", "--duration=1h").strip()
    config["users"] = [{**config["users"][0], "user": {"token": token}}]
    path = tmp_path / "jo"
    path.write_text(yaml.safe_dump(config))
    return Olive(ml, path)


def test_no_right_to_look(somebody: Olive, ml: Kubectl) -> None:
    ml.apply(travel())
    for words in (["status"], ["status", "travel"], ["why", "travel"], ["status", "-A"]):
        ended = somebody(*words)
        assert (ended.code, ended.out) == (4, "")
        assert "ask for the chart's role olive-operator-view" in ended.err


def test_the_right_to_look_and_none_to_apply(
    somebody: Olive, ml: Kubectl, operator: Operator
) -> None:
    """What `view` has by the chart: no events of ours, which `why` goes without."""
    ml.apply(travel())
    look = ["--verb=get,list,watch", "--resource=optimizationjobs.olive-operator.io"]
    ml("create", "role", "look", *look, "--resource=artifacts.olive-operator.io")
    ml("create", "rolebinding", "jo", "--role=look", f"--serviceaccount={ml.namespace}:jo")
    assert somebody("status", "travel").code == 0
    told = somebody("why", "travel")
    assert (told.code, "events of its pods are not told: you may not list" in told.out) == (0, True)
    ended = somebody.diff(travel(adapters=[adapter("travel", rank=32)]))
    assert (ended.code, ended.out) == (4, "")
    assert "ask for the chart's role olive-operator-edit" in ended.err


@pytest.fixture
def newer(ml: Kubectl) -> Iterator[None]:
    """The kind as a newer release may have it: with more fields and other words."""
    crd = yaml.safe_load(CRD.read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema["status"] = anything
    schema["spec"]["properties"]["distill"] = anything
    apply = ("apply", "--server-side", "--force-conflicts")
    ml(*apply, "--filename=-", stdin=json.dumps(crd))
    yield
    ml(*apply, f"--filename={CRD}")


@pytest.mark.usefixtures("newer")
def test_a_job_of_a_newer_release(olive: Olive, ml: Kubectl) -> None:
    """It is shown as far as it is known; a diff, which has to be right, is not made."""
    ml.apply(travel(distill={"from": "hf://a/b"}))
    stage = {"name": "distill", "state": "Dreaming", "mood": "calm", "message": "of electric sheep"}
    status = {"phase": "Asleep", "weather": "fair", "stages": [stage], "observedGeneration": 1}
    ml(
        *("patch", "optimizationjob", "travel", "--subresource=status", "--type=merge"),
        f"--patch={json.dumps({'status': status})}",
    )
    for words in (["status"], ["status", "travel"]):
        shown = olive(*words)
        assert (shown.code, "Asleep" in shown.out) == (0, True)
    assert "distill is Dreaming" in olive("why", "travel").out
    ended = olive.diff(travel(distill={"from": "hf://a/c"}))
    assert (ended.code, ended.out) == (3, "")
    assert "unknown field 'distill'" in ended.err


def test_a_terminal_that_is_closed(olive: Olive, ml: Kubectl) -> None:
    """`>&-` asks for the exit code alone; `| head` reads no more."""
    ml.apply(travel())
    for words in (["why", "travel"], ["diff", "-f", "-"]):
        text = json.dumps(travel()) if words[0] == "diff" else None
        code = 1 if words[0] == "diff" else 0
        closed = olive(*words, stdin=text, stdout=None, preexec_fn=lambda: os.close(1))
        assert (closed.code, closed.err) == (code, "")
        read, write = os.pipe()
        os.close(read)
        gone = olive(*words, stdin=text, stdout=write)
        os.close(write)
        assert (gone.code, gone.err) == (141, "")
