"""The rendered configuration file is one that the operator takes, with what the values say."""

from pathlib import Path

import pytest
import yaml

from olive_operator import config

from .helm import HERE, Helm, Manifest, of_kind, values
from .test_golden import CASES


def _loaded(manifests: list[Manifest], folder: Path) -> config.Config:
    path = folder / "config.yaml"
    path.write_text(of_kind(manifests, "ConfigMap")["data"]["config.yaml"])
    return config.load(path)


@pytest.mark.parametrize("name", CASES)
def test_the_operator_takes_it(helm: Helm, tmp_path: Path, name: str) -> None:
    loaded = _loaded(helm.manifests(*values(name)), tmp_path)
    given = yaml.safe_load((HERE / "values" / f"{name}.yaml").read_text())
    assert list(loaded.namespaces) == given.get("namespaces", [])
    assert loaded.progressSeconds == given.get("progressSeconds", 5)


def test_the_defaults_are_the_operators_own(helm: Helm, tmp_path: Path) -> None:
    chart = vars(_loaded(helm.manifests(*values("default")), tmp_path))
    own = vars(config.Config(config.Images("stage", "slim", "serve")))
    only_the_charts = {"images", "cpuStage", "gpuStage", "serve", "lease"}
    assert {name for name in own if chart[name] != own[name]} == only_the_charts
    assert chart["lease"] == config.LeaseConfig(name="olive-olive-operator")


def test_every_value_arrives(helm: Helm, tmp_path: Path) -> None:
    loaded = _loaded(helm.manifests(*values("everything")), tmp_path)
    assert loaded == config.Config(
        images=config.Images(
            stage="registry.example:5000/olive/stage:0.1.0",
            stageSlim="registry.example:5000/olive/stage-slim:0.1.0",
            serve="registry.example:5000/olive/serve:1.2.3",
        ),
        namespaces=("team-a",),
        imagePullPolicy="Always",
        imagePullSecrets=("mirror", "other"),
        cpuStage=config.PodDefaults(
            resources={
                "requests": {"cpu": 0.5, "memory": "1Gi", "ephemeral-storage": "20Gi"},
                "limits": {"cpu": 8, "memory": "64Gi"},
            },
            nodeSelector={"pool": "cpu"},
            tolerations=(
                {
                    "key": "batch",
                    "operator": "Equal",
                    "value": "yes",
                    "effect": "NoExecute",
                    "tolerationSeconds": 60,
                },
            ),
        ),
        gpuStage=config.PodDefaults(
            resources={
                "requests": {"cpu": 8, "memory": 100000000},
                "limits": {"memory": "32Gi"},  # of the chart: values are merged
            },
            nodeSelector={"pool": "gpu"},
        ),
        serve=config.ServeDefaults(
            resources={"requests": {"cpu": "4", "memory": "6Gi"}, "limits": {"cpu": 4}},
            nodeSelector={"pool": "serve"},
            tolerations=({"operator": "Exists"},),
            networkPolicy=False,
        ),
        egress=config.Egress(
            env={"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".cluster.local,.svc"},
            caConfigMap="company-ca",
        ),
        gatewayAPI=True,
        storage=config.ClaimDefaults("2.5Ti", "azurefile-premium", "ReadWriteMany"),
        store=config.Retention("", "2Ti", "12h"),
        retry=config.Retry(5, 60),
        timeouts={**config.TIMEOUTS, "finetune": "7d", "fetch": "1d12h"},
        progressDeadline="0s",
        imagePullDeadline="90s",
        progressSeconds=30,
        lease=config.LeaseConfig("slm-olive", "", 30, 20, 4),
    )


def test_a_change_of_it_restarts_the_operator(helm: Helm) -> None:
    def checksum(*arguments: str) -> str:
        pods = of_kind(helm.manifests(*arguments), "Deployment")["spec"]["template"]
        found: str = pods["metadata"]["annotations"]["checksum/config"]
        return found

    assert checksum() == checksum("--set", "resources.limits.memory=1Gi")
    assert checksum() != checksum("--set", "retry.limit=4")
    assert checksum() != checksum("--set", "images.stage=olive-operator/stage:next")
