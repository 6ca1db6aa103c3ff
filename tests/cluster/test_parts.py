"""What a cluster is made of: programs, certificates, configurations."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from olive_cluster import binaries, cli, control_plane, kueue, node, pki
from olive_cluster.places import Places
from olive_cluster.sandbox import NODE_ADDRESS
from olive_cluster.shell import run


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> binaries.Module:
    monkeypatch.setattr("olive_cluster.binaries.MODULES", tmp_path)
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing" / "go.mod").write_text("require (\n\ta.b/other v9.9.9\n\ta.b/c v1.2.3\n)\n")
    stamps = ("version={version}", "minor={minor}")
    return binaries.Module("thing", {"c": "a.b/c/cmd"}, "a.b/c", stamps)


def test_programs_know_the_version_that_go_mod_pins(module: binaries.Module) -> None:
    assert module.linker_flags() == "-s -w -X version=v1.2.3 -X minor=2"


def test_a_build_is_named_by_all_that_goes_into_it(module: binaries.Module, tmp_path: Path) -> None:
    before = module.key()
    assert module.key() == before
    assert replace(module, manifests={"c.yaml": "config"}).key() != before
    (tmp_path / "thing" / "go.sum").write_text("another hash")
    assert module.key() != before


def test_every_program_is_pinned() -> None:
    for module in binaries.MODULES_BUILT:
        assert module.linker_flags().startswith("-s -w")
    assert {"kubelet", "etcd", "helm", "pause", "kwok", "kueue"} <= set(binaries.PROGRAMS)


def test_a_kubelet_has_the_user_and_group_that_the_node_authorizer_wants() -> None:
    assert pki.kubelet("olive").subject() == "/O=system:nodes/CN=system:node:olive"
    assert pki.PROXY.subject() == "/CN=system:kube-proxy"


def test_certificates_are_those_of_their_authority(tmp_path: Path) -> None:
    pki.issue(tmp_path, ["10.244.0.1"], [pki.ADMIN])
    signed = ["openssl", "verify", "-CAfile", f"{tmp_path}/ca.crt"]
    run([*signed, "-purpose", "sslserver", f"{tmp_path}/apiserver.crt"])
    run([*signed, "-purpose", "sslclient", f"{tmp_path}/admin.crt"])
    shown = run(["openssl", "x509", "-in", f"{tmp_path}/apiserver.crt", "-noout", "-text"])
    assert "IP Address:10.244.0.1" in shown
    assert "DNS:kubernetes.default.svc" in shown
    assert "CA:FALSE" in shown


def test_a_kubeconfig_needs_no_other_file(tmp_path: Path) -> None:
    for name in ("ca.crt", "admin.crt", "admin.key"):
        (tmp_path / name).write_text(name)
    config = json.loads(pki.kubeconfig(tmp_path, pki.ADMIN, "https://1.2.3.4:6443", "olive"))
    assert config["clusters"][0]["cluster"]["server"] == "https://1.2.3.4:6443"
    assert config["current-context"] == config["contexts"][0]["name"] == "olive"
    key = config["users"][0]["user"]["client-key-data"]
    assert base64.b64decode(key) == b"admin.key"


def test_only_a_control_plane_with_a_node_speaks_to_kubelets() -> None:
    alone = control_plane.api_server(control_plane.local_endpoint(), with_node=False)
    assert "--bind-address=127.0.0.1" in alone
    assert not [flag for flag in alone if "kubelet" in flag]
    assert "--audit-log-path=logs/audit.log" in alone
    full = control_plane.api_server(control_plane.NODE_ENDPOINT, with_node=True)
    assert f"--bind-address={NODE_ADDRESS}" in full
    assert "--kubelet-client-key=pki/admin.key" in full


def test_kubelet_and_containerd_meet_at_one_socket() -> None:
    places = Places("test")
    assert f'address = "{places.containerd_socket}"' in node.containerd(places)
    assert node.kubelet(places)["containerRuntimeEndpoint"] == f"unix://{places.containerd_socket}"


def test_a_port_is_free_still_when_the_api_server_starts_again() -> None:
    first_of_the_kernels = int(
        Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]
    )
    assert control_plane.local_endpoint().port < first_of_the_kernels


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--kwok", "2"], "--kwok and --kueue go with --control-plane"),
        (["--kueue"], "--kwok and --kueue go with --control-plane"),
        (["--control-plane", "--stages", "/"], "--stages / goes with --kwok"),
        (["--control-plane", "--kwok", "1", "--stages", "/none"], "--stages /none does not exist"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    options: list[str],
    error: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["cluster", "up", "--name", "refused", *options])
    with pytest.raises(SystemExit):
        cli.main()
    assert error in capsys.readouterr().err


def webhook(name: str, *groups: str) -> dict[str, Any]:
    service = {"name": kueue.SERVICE, "namespace": kueue.NAMESPACE, "path": f"/{name}"}
    rules = [{"apiGroups": [group]} for group in groups]
    return {"name": name, "clientConfig": {"service": service}, "rules": rules}


def test_of_kueues_manifests_those_are_left_that_need_no_pod() -> None:
    conversion: dict[str, Any] = {"webhook": {"clientConfig": {"service": {"path": "/convert"}}}}
    manifests: list[dict[str, Any]] = [
        {"kind": "Namespace"},
        {"kind": "Deployment"},
        {"kind": "Service"},
        {"kind": "CustomResourceDefinition", "spec": {"conversion": conversion}},
        {
            "kind": "MutatingWebhookConfiguration",
            "webhooks": [webhook("job", "batch"), webhook("pod", ""), webhook("ray", "ray.io")],
        },
    ]
    kept = kueue.needed(manifests, 25000)
    assert [manifest["kind"] for manifest in kept] == [
        "Namespace",
        "CustomResourceDefinition",
        "MutatingWebhookConfiguration",
        "Service",
    ]
    assert [hook["name"] for hook in kept[2]["webhooks"]] == ["job"]
    assert kept[2]["webhooks"][0]["clientConfig"]["service"]["port"] == 25000
    assert conversion["webhook"]["clientConfig"]["service"]["port"] == 25000
    assert kept[3]["spec"] == {"type": "ExternalName", "externalName": "127.0.0.1"}
