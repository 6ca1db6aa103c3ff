"""Secrets: handed to the one stage that they are for, and found nowhere else."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stage.standin_hub import TOKEN, Repository, StandinHub, serving

from olive_cli.errors import CliError
from olive_cli.run import place, scope
from olive_cli.run.attempt import as_user
from olive_cli.run.machine import Machine
from olive_cli.run.place import Place, Runtime
from olive_contract.stage import StageInput
from olive_operator.api.seen import JobSeen
from olive_operator.api.spec import Spec
from olive_operator.api.stage import Address
from olive_operator.api.status import Status
from olive_operator.build import StoreMount, attempt
from olive_operator.config import Config, Images
from olive_operator.plan.graph import graph
from olive_operator.plan.keys import addresses
from run.here import Here, spec, until


@pytest.fixture
def hub(claim: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandinHub]:
    """A hub with the tiny model in a private repository."""
    files = {path.name: path.read_bytes() for path in (claim / "model").iterdir()}
    with serving(StandinHub({"models/team/tiny": Repository(files, private=True)})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


PRIVATE = spec(model={"source": "hf://team/tiny", "secretRef": "hub"})


@pytest.mark.usefixtures("hub")
def test_a_token_opens_what_it_is_for(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", TOKEN)
    told = here.run(PRIVATE, "--until", "fetch/model", "--secret", "hub=A_TOKEN", "--json")
    assert told.code == 0, told
    kept = "".join(p.read_text(errors="replace") for p in here.store.rglob("*") if p.is_file())
    assert TOKEN not in told.out + told.err + kept


@pytest.mark.usefixtures("hub")
def test_a_wrong_token_is_told_and_not_shown(here: Here) -> None:
    file = here.root / "secret"
    file.write_text("# of the hub\ntoken=hf_wrong\n")
    told = here.run(PRIVATE, "--until", "fetch/model", "--secret", f"hub={file}")
    assert told.code == 1
    assert "fetch/model: AuthDenied" in told.out
    assert "correct the token that --secret names, or your own login, and run again" in told.out
    assert "hf_wrong" not in told.out + told.err


def test_a_secret_that_is_not_given_is_asked_for(here: Here) -> None:
    told = here.run(PRIVATE, "--until", "fetch/model")
    assert told.code == 1
    assert "fetch/model needs secret hub; give --secret hub=VARIABLE or hub=FILE" in told.err


def test_a_stage_sees_no_token_of_the_environment(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY"):
        monkeypatch.setenv(name, "hf_secret_of_the_test")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    with here.begun(spec(), "--until", "quantize") as process:
        until(here.processes, process)
        environment = Path(f"/proc/{here.processes()[0]}/environ").read_bytes()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert b"hf_secret_of_the_test" not in environment
    assert b"HTTPS_PROXY=http://proxy.example" in environment


def fetch_model(source: str, here: Place) -> dict[str, str]:
    """The variables that the fetch of a model with the secret ``keys`` is given."""
    body = Spec.from_body({"model": {"source": source, "secretRef": "keys"}})
    stage = graph(body)[0]
    address = addresses([stage], {})[stage.name]
    assert address
    job = JobSeen("", "tiny", "", 1, body, Status())
    manifest = attempt(
        job, stage, address, 1, StoreMount("olive-store"), Config(Images("", "", ""))
    )
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    return here.given(container, stage.name)


def test_a_bucket_gets_the_keys_that_its_secret_has(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("AWS_ACCESS_KEY_ID = id\nAWS_SECRET_ACCESS_KEY=a=b\nother=x\n")
    secrets = {"keys": place.secret("keys", str(file))}
    here = Place(tmp_path, Runtime(Path("python"), ""), tmp_path, {}, secrets)
    expected = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "a=b"}
    assert fetch_model("s3://bucket/model", here) == expected
    with pytest.raises(CliError, match='fetch/model needs key "token" of secret keys'):
        fetch_model("hf://owner/name", here)


OUT: dict[str, Any] = {
    "publish": {
        "azureML": {"registry": "models", "model": "travel"},
        "huggingFace": {"repository": "acme/travel", "secretRef": "hub"},
        "oci": {"reference": "registry.example.com/travel:v1", "secretRef": "registry"},
    },
    "azure": {"clientID": "c", "tenantID": "t", "serviceAccountName": "olive"},
}
OWN = {
    "AZURE_CLIENT_SECRET": "of-azure",
    "HF_TOKEN": "of-the-hub",
    "DOCKER_CONFIG": "/somewhere/docker",
}


def test_a_publication_is_its_users_whatever_the_cluster_would_give(tmp_path: Path) -> None:
    fitted = scope.fitted(Spec.from_body(spec(**OUT)), Machine(2))
    here = Place(tmp_path, Runtime(Path("python"), ""), tmp_path, {}, {})
    job = JobSeen("", "tiny", "", 1, fitted, Status())
    stages = [s for s in graph(fitted) if s.kind == "publish"]
    assert len(stages) == 3
    for stage in stages:
        made = attempt(
            *(job, stage, Address("a", "a", {}), 1),
            *(StoreMount("olive-store"), Config(Images("", "", ""))),
        )
        container = made["spec"]["template"]["spec"]["containers"][0]
        assert here.given(container, stage.name) == {}
        assert StageInput.from_json(container["args"][0]).job == "tiny"


def test_fitting_a_publication_changes_no_key() -> None:
    before = Spec.from_body(spec(**OUT))
    after = scope.fitted(before, Machine(2))
    assert [s.body for s in graph(after)] == [s.body for s in graph(before)]


def test_only_a_stage_that_acts_for_the_user_sees_what_the_user_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".azure").mkdir()
    for name, value in OWN.items():
        monkeypatch.setenv(name, value)
    for name in ("AZURE_CONFIG_DIR", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    runtime = Runtime(Path("python"), "")
    assert not runtime.environment().keys() & OWN.keys()
    acting = runtime.environment(as_user=True)
    assert {name: acting[name] for name in OWN} == OWN
    assert acting["AZURE_CONFIG_DIR"] == str(tmp_path / ".azure"), "where az login has left it"
    assert "HF_TOKEN_PATH" not in acting, "nobody has logged in there"


@pytest.mark.parametrize(
    ("kind", "params", "acts"),
    [
        ("publish", {}, True),
        ("fetch", {"source": "azureml://registries/r/models/m/versions/1"}, True),
        ("fetch", {"source": "hf://a/b"}, False),
        ("quantize", {}, False),
    ],
)
def test_which_stages_act_for_the_user(kind: str, params: dict[str, Any], acts: bool) -> None:
    assert as_user(StageInput(kind, kind, params, {})) is acts
