"""How applying a file is tried: by kubectl, in a dry run; and what is told of a refusal."""

import re
from pathlib import Path

import pytest

from .api import Olive, at, namespace
from .kubectl import MANIFEST, Kubectl, diff
from .test_diff import done, of


def test_it_is_asked_as_it_would_be_applied(olive: Olive, kubectl: Kubectl) -> None:
    """By the field manager that has applied it, and with each number as it was written."""
    kubectl.would_make()
    objects = of(done())
    diff(olive, objects, "--namespace", "ml")
    known = f"--kubeconfig={olive.folder / 'kubeconfig'}"
    command = ["apply", "--dry-run=server", "--output=json", "--filename=-"]
    assert kubectl.arguments == [known, *command, "--namespace=ml"]
    assert "learningRate: 1e-4" in kubectl.stdin
    objects.lists[at("optimizationjobs")][0]["metadata"]["managedFields"] = [
        {"manager": "olive-operator", "operation": "Apply", "subresource": "status"},
        {"manager": "kubectl-edit", "operation": "Update"},
        {"manager": "argocd-controller", "operation": "Apply", "time": "2026-11-20T12:00:00Z"},
        {"manager": "kubectl", "operation": "Apply", "time": "2026-11-19T12:00:00Z"},
    ]
    diff(olive, objects)
    server_side = ["--server-side", "--field-manager=argocd-controller", "--force-conflicts"]
    assert kubectl.arguments == [known, *command, *server_side]


def test_applied_by_a_person_after_a_controller(olive: Olive, kubectl: Kubectl) -> None:
    kubectl.would_make()
    objects = of(done())
    objects.lists[at("optimizationjobs")][0]["metadata"]["managedFields"] = [
        {"manager": "labeller", "operation": "Apply", "time": "2026-11-19T12:00:00Z"},
        {
            "manager": "kubectl-client-side-apply",
            "operation": "Update",
            "time": "2026-11-20T12:00:00Z",
        },
    ]
    diff(olive, objects)
    assert "--server-side" not in kubectl.arguments


def test_of_several_documents_the_jobs_are_told(olive: Olive, kubectl: Kubectl) -> None:
    kubectl.would_make()
    other = "apiVersion: v1\nkind: Secret\nmetadata: {name: token}\n"
    text = f"# ours\n---\n{other}--- # a job\n{MANIFEST}...\n---\n"
    told = diff(olive, of(done()), text=text).out
    assert told.count("travel: nothing would run") == 1
    assert kubectl.stdin == f"{MANIFEST}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind: [", "is not YAML"),
        ("kind: Secret\nmetadata: [1]", "has no OptimizationJob of olive-operator.io/v1alpha1"),
        (MANIFEST.replace("v1alpha1", "v2"), "has no OptimizationJob of olive-operator.io/v1"),
    ],
)
def test_a_file_that_is_none(olive: Olive, kubectl: Kubectl, text: str, told: str) -> None:
    ended = diff(olive, namespace(), text=text)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


def test_a_file_that_is_not_there(olive: Olive) -> None:
    ended = olive.asked(namespace(), "diff", "-f", "/nowhere/travel.yaml")
    assert (ended.code, "cannot be read: No such file" in ended.err) == (2, True)


FORBIDDEN = (
    'Error from server (Forbidden): error when retrieving current configuration of "STDIN": '
    'optimizationjobs.olive-operator.io "travel" is forbidden: User "jo" cannot patch resource'
)
INVALID = (
    'The OptimizationJob "travel" is invalid: spec.quantize.algorithm: Unsupported value: "int3"'
)


@pytest.mark.parametrize(
    ("said", "code", "told"),
    [
        (FORBIDDEN, 4, "you may not apply .*travel.yaml: ask for the chart's role olive-operator-"),
        (INVALID, 2, "travel.yaml would be refused: The OptimizationJob .* is invalid"),
        ('error: no matches for kind "OptimizationJob" in version "x"', 3, "no such kind"),
        ("Unable to connect to the server: dial tcp: i/o timeout", 5, "does not answer"),
        ("error: dial tcp 127.0.0.1:1: connect: connection refused", 5, "does not answer"),
        ('Error from server (NotFound): namespaces "ml" not found', 3, "namespaces .* not found"),
    ],
)
def test_what_the_api_server_does_not_take(
    olive: Olive, kubectl: Kubectl, said: str, code: int, told: str
) -> None:
    kubectl.script(f"echo '{said}' >&2; exit 1")
    ended = diff(olive, namespace())
    assert ended.code == code
    assert "\n" not in ended.err
    assert re.search(told, ended.err)


def test_without_kubectl(olive: Olive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = diff(olive, namespace())
    assert (ended.code, "kubectl is not on the PATH" in ended.err) == (5, True)


def test_a_kubectl_that_cannot_be_run(
    olive: Olive, kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(kubectl.folder))
    (kubectl.folder / "kubectl").write_bytes(b"\x7fELF")
    ended = diff(olive, namespace())
    assert (ended.code, "kubectl cannot be run: Exec format error" in ended.err) == (5, True)


def test_a_spec_of_a_newer_operator(olive: Olive, kubectl: Kubectl) -> None:
    kubectl.would_make(distill={"from": "hf://a/b"})
    ended = diff(olive, namespace())
    assert ended.code == 3
    assert "unknown field 'distill'): it is for a newer olive-operator than this" in ended.err
