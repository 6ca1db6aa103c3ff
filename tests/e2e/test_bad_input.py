"""What cannot work ends as Stalled, with a reason and a sentence that says what to do."""

import uuid
from collections.abc import Iterator

import pytest

from .cluster import TEMPLATE, Cluster, adapter, eventually, job

BROKEN = '{"prompt": "a", "response": "b"}\\n{"prompt": "c"\\n'
LACKING = '{"prompt": "a", "response": "b"}\\n{"prompt": "c"}\\n'


@pytest.fixture(scope="module")
def data(cluster: Cluster) -> str:
    """A claim with data sets that cannot be used."""
    name = f"bad-{uuid.uuid4().hex[:8]}"
    cluster.make_claim(name, "1Gi")
    script = f"cd /claim; printf '{BROKEN}' >broken; printf '{LACKING}' >lacking; : >empty"
    cluster.run_script(name, name, script)
    return name


@pytest.fixture
def name(cluster: Cluster) -> Iterator[str]:
    found = f"bad-{uuid.uuid4().hex[:8]}"
    yield found
    cluster.delete(found)


@pytest.mark.parametrize(
    ("file", "reason", "says"),
    [
        ("broken", "InvalidInput", "line 2"),
        ("lacking", "InvalidInput", "line 2 has no column 'response'"),
        ("empty", "InvalidInput", "no row"),
        ("nowhere", "SourceNotFound", "nowhere"),
    ],
)
def test_data_that_cannot_be_used(
    cluster: Cluster, store: str, data: str, name: str, file: str, reason: str, says: str
) -> None:
    source = {"source": f"pvc://{data}/{file}", "template": TEMPLATE}
    cluster.create(name, job(store, {"name": "travel", "data": source}, serve=None))
    message = cluster.await_stalled(name, reason)
    assert says in message
    assert message.startswith("fetch/travel: ")
    assert "Traceback" not in message
    assert cluster.attempts(name).count("fetch/travel") == 1, "it is not tried again"


def test_model_that_does_not_exist(cluster: Cluster, store: str, name: str) -> None:
    model = {"source": "pvc://travel-tiny/no-such-model"}
    cluster.create(name, job(store, model=model, evaluate=None, serve=None))
    assert "no-such-model" in cluster.await_stalled(name, "SourceNotFound")


def test_claim_that_does_not_exist(cluster: Cluster, name: str) -> None:
    cluster.create(name, job("no-such-claim", evaluate=None, serve=None))
    message = cluster.await_stalled(name, "ClaimNotFound")
    assert 'claim "no-such-claim" does not exist in this namespace' in message


def test_secret_that_does_not_exist_is_waited_for(cluster: Cluster, store: str, name: str) -> None:
    model = {"source": "hf://nobody/nothing", "secretRef": f"{name}-token"}
    cluster.create(name, job(store, model=model, evaluate=None, serve=None))
    message = cluster.await_stalled(name, "SecretNotFound")
    assert f'secret "{name}-token" does not exist in this namespace' in message
    cluster.run_kubectl("create", "secret", "generic", f"{name}-token", "--from-literal=token=x")

    def begun() -> bool:
        return bool(cluster.stage(name, "fetch/model").get("startedAt"))

    eventually("the fetch to begin without another word", begun, 180)


def test_full_disk_leaves_nothing_half_and_goes_on_when_there_is_room(
    cluster: Cluster, name: str
) -> None:
    cluster.make_claim(name, "1Gi", cluster.offer_small_volume("12Mi"))
    ballast = "head -c 6M /dev/zero >/claim/ballast"
    cluster.run_script(f"{name}-fill", name, ballast)
    cluster.create(name, job(name, evaluate=None, serve=None, retry={"limit": 0}))
    message = cluster.await_stalled(name, "DiskFull", 300)
    assert "enlarge the claim" in message
    assert cluster.artifacts(name) == []
    cluster.run_script(f"{name}-free", name, "rm /claim/ballast; ls -a /claim")
    cluster.annotate(name, "olive-operator.io/retry=1")
    eventually(
        "the stage that had no room",
        lambda: cluster.stage(name, "fetch/model").get("state") == "Succeeded",
    )


def test_what_the_api_server_can_refuse_it_refuses(cluster: Cluster, store: str, name: str) -> None:
    cluster.create(name, job(store, adapter("travel"), serve=None))
    with pytest.raises(AssertionError, match="write awq, gptq or rtn"):
        cluster.edit(name, job(store, adapter("travel"), quantize={"algorithm": "magic"}))
