"""Kubernetes' own schemas, by version; those of the Prometheus operator's kinds beside them.

Kubernetes' come with the package kubernetes-validate (hack/lint), the others with their Go module.
"""

import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from programs import ROOT

from .helm import CHART, Manifest

Schema = dict[str, Any]

MONITORING = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
MONITORING_SUM = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="
"""What Go has found the module to be."""
INDEX = "_definitions.json"


def supported() -> list[str]:
    """The versions that the chart allows and whose schemas there are, such as "1.31"."""
    required = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    oldest = re.fullmatch(r">=1\.(\d+)\.0-0", required)
    assert oldest, required
    found = {int(path.name.split(".")[1]) for path in _folder().glob("v1.*-local-strict")}
    return [f"1.{minor}" for minor in sorted(found) if minor >= int(oldest[1])]


def definitions(version: str, roots: Iterable[str]) -> dict[str, Schema]:
    """These types and all that they hold, less their descriptions; no other field is let in."""
    source = _definitions(version)
    found: dict[str, Schema] = {}
    wanted = set(roots)
    while missing := wanted - set(found):
        for name in missing:
            found[name] = _bare(source[name])
            wanted |= set(_named(found[name]))
    return dict(sorted(found.items()))


def write(folder: Path, version: str, manifests: list[Manifest]) -> None:
    """The schemas of these objects' kinds as kubeconform looks for them."""
    folder.mkdir()
    for name, kind in {_file(m): m for m in manifests}.items():
        if kind["apiVersion"].startswith("monitoring.coreos.com/"):
            schema = _monitoring(kind["kind"])
        else:
            found = json.loads((_of(version) / name).read_text())
            schema = {**found, "$defs": definitions(version, _named(found))}
        text = json.dumps({name: part for name, part in schema.items() if name != "$id"})
        (folder / name).write_text(text.replace(f'"/api/{INDEX}#', '"#'))


def _file(manifest: Manifest) -> str:
    group, _, version = manifest["apiVersion"].rpartition("/")
    words = [manifest["kind"].lower(), group.partition(".")[0], version]
    return "-".join(word for word in words if word) + ".json"


def _folder() -> Path:
    inside = "lib/python3.*/site-packages/kubernetes_validate/kubernetes-json-schema"
    found = list((ROOT / "hack" / "lint" / ".venv").glob(inside))
    assert found, "hack/lint/.venv is not there: `make hack/lint/.venv/.synced`"
    return found[0]


def _of(version: str) -> Path:
    return _folder() / f"v{version}.0-local-strict"


@cache
def _definitions(version: str) -> dict[str, Schema]:
    found: dict[str, Schema] = json.loads((_of(version) / INDEX).read_text())["$defs"]
    return found


def _named(schema: Any) -> Iterator[str]:
    """The names of the types that a schema refers to."""
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for part in schema.values():
            yield from _named(part)
    if isinstance(schema, list):
        for part in schema:
            yield from _named(part)


def _bare(schema: Any, of_names: bool = False) -> Any:
    """A schema without what only tells; `of_names`: its keys are the names of fields."""
    if isinstance(schema, list):
        return [_bare(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name for name in schema if name in ("description", "default") or name[:2] == "x-"}
    names = set(schema) if of_names else set(schema) - told
    return {name: _bare(schema[name], name == "properties") for name in schema if name in names}


@cache
def _monitoring(kind: str) -> Schema:
    """A kind of the Prometheus operator."""
    command = ["go", "mod", "download", "-json", MONITORING]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert told["Sum"] == MONITORING_SUM
    file = f"example/prometheus-operator-crd/monitoring.coreos.com_{kind.lower()}s.yaml"
    crd = yaml.load((Path(told["Dir"]) / file).read_text(), yaml.CSafeLoader)
    (version,) = [v for v in crd["spec"]["versions"] if v["storage"]]
    found: Schema = _strict(version["schema"]["openAPIV3Schema"])
    return found


def _strict(schema: Any) -> Any:
    """As the API server takes it: a field that is not named is none."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = "properties" in schema and "additionalProperties" not in schema
    found = {name: _strict(part) for name, part in schema.items()}
    return {**found, "additionalProperties": False} if closed else found
