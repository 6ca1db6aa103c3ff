"""The official client, against a stand-in for the API server."""

import json
from pathlib import Path

import pytest
import yaml

from olive_cli.cluster import Cluster
from olive_cli.errors import CliError
from olive_cli.follow import Gone, Unreachable

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


def test_a_change_that_is_refused_in_the_api_servers_words(tmp_path: Path) -> None:
    why = json.dumps({"message": 'optimizationjobs "travel" is forbidden: User "jo" cannot patch'})
    with served(lambda _: (403, "application/json", why)) as api:
        stream = Cluster.connect(kubeconfig(tmp_path, api.url), None, None).job("travel")
        with pytest.raises(CliError, match=r"403 Forbidden.*cannot patch"):
            stream.patch({"spec": {"suspend": True}})


def test_no_right_to_read(tmp_path: Path) -> None:
    with served(lambda _: (403, "application/json", "{}")) as api:
        stream = Cluster.connect(kubeconfig(tmp_path, api.url), None, None).job("travel")
        with pytest.raises(CliError, match="403"):
            stream.read()
        with pytest.raises(CliError, match="403"):
            list(stream.events("7", 30))


def test_nobody_there(tmp_path: Path) -> None:
    stream = Cluster.connect(kubeconfig(tmp_path, "http://127.0.0.1:1"), None, None).job("travel")
    with pytest.raises(Unreachable):
        stream.read()
    with pytest.raises(Unreachable):
        list(stream.events("7", 30))
