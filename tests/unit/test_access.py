"""What a pod is given to reach out of the cluster: credentials, who it is at Azure, and the way."""

from dataclasses import replace
from typing import Any

import pytest
from builders import job_seen, spec
from builders.world import CONFIG

from olive_contract.params import FetchParams
from olive_operator import build
from olive_operator.api.spec import Spec
from olive_operator.api.stage import Address, Stage
from olive_operator.build import StoreMount
from olive_operator.build.access import Access, access
from olive_operator.config import Egress
from olive_operator.plan.graph import graph

AZUREML = "azureml://registries/models/models/phi/versions/1"
FEDERATED = {"clientID": "the-client", "tenantID": "the-tenant"}
PRINCIPAL = {"secretRef": "principal"}
DIRECT = Egress()
TOKENS = "/var/run/secrets/olive-operator"
OUT = {
    "azureML": {"registry": "models", "model": "travel"},
    "huggingFace": {"repository": "acme/travel", "secretRef": "hub"},
    "oci": {"reference": "registry.example.com/travel:v1", "secretRef": "registry"},
}


def given(stage: str, egress: Egress = DIRECT, **sections: Any) -> Access:
    """What a stage of a job with these sections is given."""
    stages = graph(Spec.from_body(spec(**sections)))
    return access(next(s for s in stages if s.name == stage), egress)


def fetching(source: str, secret: str | None) -> Access:
    return access(
        Stage("fetch/model", "fetch", FetchParams("model", source), secret=secret), DIRECT
    )


def written(found: Access) -> dict[str, str]:
    """The variables with a value, and for those from a Secret which one and which key."""
    values = {}
    for variable in found.env:
        if "value" in variable:
            values[variable["name"]] = variable["value"]
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            values[variable["name"]] = f"{reference['name']}/{reference['key']}"
    return values


@pytest.mark.parametrize(
    ("source", "variables"),
    [
        pytest.param("hf://owner/model", {"HF_TOKEN": "keys/token"}, id="hub"),
        pytest.param("https://example.com/a", {}, id="web"),
        pytest.param("pvc://claim/path", {}, id="claim"),
        pytest.param(
            "az://box/path",
            {
                f"AZURE_STORAGE_{name}": f"keys/AZURE_STORAGE_{name}"
                for name in ("ACCOUNT_NAME", "ACCOUNT_KEY", "SAS_TOKEN", "CONNECTION_STRING")
            },
            id="Azure's blobs",
        ),
        pytest.param(
            "s3://bucket/path",
            {
                f"AWS_{name}": f"keys/AWS_{name}"
                for name in (
                    *("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"),
                    *("REGION", "ENDPOINT_URL"),
                )
            },
            id="bucket",
        ),
    ],
)
def test_fetch_has_the_keys_of_its_source(source: str, variables: dict[str, str]) -> None:
    found = fetching(source, "keys")
    assert written(found) == variables
    assert (found.files, found.serviceAccountName, found.labels) == ((), "", {})


def test_source_without_a_secret_is_given_nothing() -> None:
    assert fetching("hf://owner/model", None) == Access()


def test_only_the_hubs_token_must_be_in_its_secret() -> None:
    def needed(found: Access) -> list[bool]:
        return [not v["valueFrom"]["secretKeyRef"].get("optional", False) for v in found.env]

    assert needed(fetching("hf://owner/model", "keys")) == [True]
    assert not any(needed(fetching("s3://bucket/path", "keys")))


def test_workload_identity_exchanges_the_token_of_the_account() -> None:
    azure = {**FEDERATED, "serviceAccountName": "olive"}
    found = given("fetch/model", model={"source": AZUREML}, azure=azure)
    assert written(found) == {
        "AZURE_CLIENT_ID": "the-client",
        "AZURE_TENANT_ID": "the-tenant",
        "AZURE_FEDERATED_TOKEN_FILE": f"{TOKENS}/azure/token",
    }
    [(folder, volume)] = found.files
    assert folder == f"{TOKENS}/azure"
    [source] = volume["projected"]["sources"]
    assert source["serviceAccountToken"] == {
        "audience": "api://AzureADTokenExchange",
        "expirationSeconds": 3600,
        "path": "token",
    }
    assert found.serviceAccountName == "olive"
    assert found.labels == {}, "no webhook has anything to do"


def test_workload_identity_without_an_account_is_the_namespaces_default() -> None:
    found = given("fetch/model", model={"source": AZUREML}, azure=FEDERATED)
    assert found.serviceAccountName == ""
    assert found.files


def test_service_principal_comes_from_its_secret() -> None:
    found = given("fetch/model", model={"source": AZUREML}, azure=PRINCIPAL)
    names = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET")
    assert written(found) == {name: f"principal/{name}" for name in names}
    assert found.files == ()


def test_account_alone_is_left_to_azures_webhook() -> None:
    azure = {"serviceAccountName": "olive"}
    found = given("fetch/model", model={"source": AZUREML}, azure=azure)
    assert found.serviceAccountName == "olive"
    assert found.labels == {"azure.workload.identity/use": "true"}
    assert (found.env, found.files) == ((), ())


def test_webhooks_label_is_on_the_pod() -> None:
    job = job_seen(spec(model={"source": AZUREML}, azure={"serviceAccountName": "olive"}))
    stage = graph(job.spec)[0]
    made = build.attempt(job, stage, Address("a", "", {}), 1, StoreMount("store"), CONFIG)
    template = made["spec"]["template"]
    assert template["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert template["spec"]["serviceAccountName"] == "olive"
    assert template["spec"]["automountServiceAccountToken"] is False


def test_without_an_identity_it_is_the_nodes() -> None:
    assert given("fetch/model", model={"source": AZUREML}) == Access()


def test_publication_to_azure_is_who_the_job_is_there() -> None:
    azure = {**FEDERATED, "serviceAccountName": "olive"}
    published = given("publish/azureML", publish=OUT, azure=azure)
    assert published == given("fetch/model", model={"source": AZUREML}, azure=azure)


def test_publication_to_a_hub_has_its_token() -> None:
    assert written(given("publish/huggingFace", publish=OUT)) == {"HF_TOKEN": "hub/token"}


def test_publication_to_a_registry_has_the_docker_config() -> None:
    found = given("publish/oci", publish=OUT)
    assert written(found) == {"DOCKER_CONFIG": f"{TOKENS}/registry"}
    [(folder, volume)] = found.files
    assert folder == f"{TOKENS}/registry"
    assert volume["secret"]["secretName"] == "registry"
    assert volume["secret"]["items"] == [{"key": ".dockerconfigjson", "path": "config.json"}]


def test_registry_for_everybody_is_asked_without_credentials() -> None:
    assert given("publish/oci", publish={"oci": {"reference": "localhost:5000/a:b"}}) == Access()


@pytest.mark.parametrize(
    "stage", ["fetch/model", "fetch/travel", "publish/huggingFace", "publish/oci"]
)
def test_identity_at_azure_is_given_to_none_that_does_not_go_there(stage: str) -> None:
    azure = {**FEDERATED, "serviceAccountName": "olive"}
    with_, without = given(stage, publish=OUT, azure=azure), given(stage, publish=OUT)
    assert with_ == without
    assert with_.serviceAccountName == ""


def test_way_out_is_the_installations_and_the_credentials_go_before_it() -> None:
    egress = Egress(env={"HTTPS_PROXY": "http://proxy", "HF_TOKEN": "everybody's"})
    found = given("publish/huggingFace", egress, publish=OUT)
    assert written(found) == {"HTTPS_PROXY": "http://proxy", "HF_TOKEN": "hub/token"}


def test_certificate_authorities_are_mounted_and_named_to_every_library() -> None:
    found = given("fetch/model", Egress(caConfigMap="company-ca"))
    assert found.files == (("/etc/olive-operator/ca", {"configMap": {"name": "company-ca"}}),)
    bundle = "/etc/olive-operator/ca/ca.crt"
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
    assert written(found) == dict.fromkeys(names, bundle)


def test_every_mount_of_a_pod_has_a_volume_of_its_own() -> None:
    azure = {**FEDERATED, "serviceAccountName": "olive"}
    job = job_seen(spec(publish=OUT, azure=azure))
    config = replace(CONFIG, egress=Egress(caConfigMap="company-ca"))
    for stage in (s for s in graph(job.spec) if s.kind == "publish"):
        made = build.attempt(job, stage, Address("a", "a", {}), 1, StoreMount("store"), config)
        pod = made["spec"]["template"]["spec"]
        volumes = [v["name"] for v in pod["volumes"]]
        mounts = [m["name"] for m in pod["containers"][0]["volumeMounts"]]
        assert sorted(volumes) == sorted(mounts)
        assert len(set(volumes)) == len(volumes)


@pytest.mark.parametrize("kind", ["quantize", "export", "finetune", "adapter", "evaluate"])
def test_what_stays_inside_is_given_no_way_out(kind: str) -> None:
    egress = Egress(env={"HTTPS_PROXY": "http://proxy"}, caConfigMap="company-ca")
    body = spec(publish=OUT, azure=FEDERATED)
    stages = [s for s in graph(Spec.from_body(body)) if s.kind == kind]
    assert stages
    assert all(access(stage, egress) == Access() for stage in stages)
