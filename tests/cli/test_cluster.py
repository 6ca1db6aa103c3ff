"""The official client, against a stand-in for the API server."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from olive_cli.cluster.apiserver import JOBS
from olive_cli.cluster.connection import Cluster
from olive_cli.cluster.follow import Gone, Unreachable
from olive_cli.errors import CliError, ForbiddenError, NoClusterError, RefusedError

from .jobs import body
from .standin import Asked, served

PATH = "/apis/olive-operator.io/v1alpha1/namespaces/ml/optimizationjobs"
EXPIRED = {
    "kind": "Status",
    "code": 410,
    "reason": "Expired",
    "message": "too old resource version",
}


def kubeconfig(folder: Path, url: str) -> str:
    path = folder / "kubeconfig"
    contexts = [
        {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "ml"}},
        {"name": "plain", "context": {"cluster": "c", "user": "u"}},
    ]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": contexts,
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


def lines(*events: tuple[str, object]) -> str:
    return "".join(json.dumps({"type": t, "object": o}) + "\n" for t, o in events)


def test_the_namespace_is_the_contexts_own_unless_given(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    assert Cluster.connect(path, None, None).namespace == "ml"
    assert Cluster.connect(path, "plain", None).namespace == "default"
    assert Cluster.connect(path, None, "other").namespace == "other"
    assert Cluster.connect(path, "plain", None).kubectl == (
        "kubectl",
        f"--kubeconfig={path}",
        "--context=plain",
    )


def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="nowhere"):
        Cluster.connect(kubeconfig(tmp_path, "http://127.0.0.1:1"), "nowhere", None)


def test_a_context_is_enough_where_none_is_the_current_one(tmp_path: Path) -> None:
    path = Path(kubeconfig(tmp_path, "http://127.0.0.1:1"))
    config = yaml.safe_load(path.read_text())
    del config["current-context"]
    path.write_text(yaml.safe_dump(config))
    assert Cluster.connect(str(path), "here", None).namespace == "ml"
    with pytest.raises(
        NoClusterError, match="no context is the current one; there are here, plain"
    ):
        Cluster.connect(str(path), None, None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a: [", "hello", "- a", "contexts: [{}]", "contexts: 3", "users: {a: b}"),
        "contexts: [{name: here, context: {cluster: c}}]\ncurrent-context: here\n"
        "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority-data: x}}]",
    ],
)
def test_a_kubeconfig_that_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(NoClusterError, match=r"no cluster: .*set KUBECONFIG or give --kubeconfig"):
        Cluster.connect(str(tmp_path / "kubeconfig"), None, None)


def test_an_answer_that_does_not_come_is_waited_for_once(tmp_path: Path) -> None:
    """The patience is one answer's: a prompt that completes a name waits no longer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        server = Cluster.connect(kubeconfig(tmp_path, url), None, None).server
        with pytest.raises(Unreachable):
            replace(server, patience=0.2).list(JOBS, "ml")
        silent.settimeout(0)
        silent.accept()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_what_answers_may_be_no_api_server(tmp_path: Path) -> None:
    with served(lambda _: (200, "text/html", "<h1>Log in</h1>")) as api:
        cluster = Cluster.connect(kubeconfig(tmp_path, api.url), None, None)
        with pytest.raises(NoClusterError, match="is not an API server"):
            cluster.found("travel")
        with pytest.raises(NoClusterError, match="is not an API server"):
            cluster.server.list(JOBS, "ml")


def test_an_object_that_no_parser_likes(tmp_path: Path) -> None:
    deep = f'{{"items": [{"[" * 9000}{"]" * 9000}]}}'
    with served(lambda _: (200, "application/json", deep)) as api:
        cluster = Cluster.connect(kubeconfig(tmp_path, api.url), None, None)
        with pytest.raises(RefusedError, match="nested too deeply"):
            cluster.server.list(JOBS, "ml")


def test_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="set KUBECONFIG"):
        Cluster.connect(str(tmp_path / "absent"), None, None)


def test_the_job_is_read_and_watched(tmp_path: Path) -> None:
    def answer(asked: Asked) -> tuple[int, str, str]:
        if "watch" in asked.query:
            return 200, "application/json", lines(("MODIFIED", body(version="8")))
        return 200, "application/json", json.dumps(body(version="7"))

    with served(answer) as api:
        stream = Cluster.connect(kubeconfig(tmp_path, api.url), None, None).job("travel")
        found = stream.read()
        assert found
        assert found["metadata"]["resourceVersion"] == "7"
        events = list(stream.events("7", 30))
    assert [(kind, b["metadata"]["resourceVersion"]) for kind, b in events] == [("MODIFIED", "8")]
    assert [a.path for a in api.asked] == [f"{PATH}/travel", PATH]
    assert api.asked[1].query["fieldSelector"] == "metadata.name=travel"
    assert api.asked[1].query["resourceVersion"] == "7"
    assert api.asked[1].query["timeoutSeconds"] == "30"


@pytest.mark.parametrize("status", [200, 410])
def test_an_expired_version_is_gone_however_it_is_told(tmp_path: Path, status: int) -> None:
    text = lines(("ERROR", EXPIRED)) if status == 200 else json.dumps(EXPIRED)
    with served(lambda _: (status, "application/json", text)) as api:
        stream = Cluster.connect(kubeconfig(tmp_path, api.url), None, None).job("travel")
        with pytest.raises(Gone):
            list(stream.events("7", 30))


def test_a_job_that_is_not_there(tmp_path: Path) -> None:
    with served(lambda _: (404, "application/json", "{}")) as api:
        assert Cluster.connect(kubeconfig(tmp_path, api.url), None, None).job("x").read() is None


def test_a_change_is_merged_into_the_job(tmp_path: Path) -> None:
    with served(lambda _: (200, "application/json", json.dumps(body()))) as api:
        stream = Cluster.connect(kubeconfig(tmp_path, api.url), None, None).job("travel")
        stream.patch({"spec": {"suspend": True}})
    asked = api.asked[0]
    assert (asked.path, asked.body) == (f"{PATH}/travel", {"spec": {"suspend": True}})
    assert asked.kind == "application/merge-patch+json"


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        (403, 'User "jo" cannot patch resource "x"', "you may not patch optimizationjobs.olive-op"),
        (403, 'admission webhook "w" denied it: no', "the API server refuses (403 Forbidden): adm"),
        (422, "spec.model: Required value", "the API server refuses (422 "),
        (401, "Unauthorized", "the cluster does not know you (401): log in again"),
    ],
)
def test_a_change_that_is_refused(tmp_path: Path, status: int, said: str, told: str) -> None:
    why = json.dumps({"message": said})
    with served(lambda _: (status, "application/json", why)) as api:
        stream = Cluster.connect(kubeconfig(tmp_path, api.url), None, None).job("travel")
        with pytest.raises(CliError) as refused:
            stream.patch({"spec": {"suspend": True}})
    assert str(refused.value).startswith(told)


def test_no_right_to_read(tmp_path: Path) -> None:
    with served(lambda _: (403, "application/json", "{}")) as api:
        stream = Cluster.connect(kubeconfig(tmp_path, api.url), None, None).job("travel")
        with pytest.raises(ForbiddenError, match=r"may not get .* role olive-operator-view"):
            stream.read()
        with pytest.raises(ForbiddenError, match=r"may not watch .* role olive-operator-view"):
            list(stream.events("7", 30))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_api_server_that_is_overloaded_may_come_to_itself(tmp_path: Path, status: int) -> None:
    with served(lambda _: (status, "application/json", "{}")) as api:
        stream = Cluster.connect(kubeconfig(tmp_path, api.url), None, None).job("travel")
        with pytest.raises(Unreachable, match=str(status)):
            stream.read()
        with pytest.raises(Unreachable, match=str(status)):
            list(stream.events("7", 30))


def test_nobody_there(tmp_path: Path) -> None:
    stream = Cluster.connect(kubeconfig(tmp_path, "http://127.0.0.1:1"), None, None).job("travel")
    with pytest.raises(Unreachable):
        stream.read()
    with pytest.raises(Unreachable):
        list(stream.events("7", 30))
