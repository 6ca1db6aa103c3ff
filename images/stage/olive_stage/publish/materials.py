"""The bill of materials of a version: a CycloneDX ML-BOM, as JSON. Pure.

The version is a machine-learning model made of others: base model, adapters, data, and the
libraries that made it (cyclonedx.org/docs/1.6/json, modelCard and pedigree).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from olive_stage.publish.card import hub_name
from olive_stage.publish.origin import AdapterOrigin, Fetched, Origin

MATERIALS_FILE: Final = "bom.cdx.json"
_SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_IN_URLS: Final = "/:@?=&"

Component = dict[str, Any]


def materials(origin: Origin) -> str:
    """The document's text: the same for the same origin."""
    parts = [*_models(origin), *_data(origin), *_libraries(origin.libraries)]
    body = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, _unique(origin))}",
        "version": 1,
        "metadata": {"component": _version(origin)},
        "components": parts,
        "dependencies": [
            {"ref": origin.content, "dependsOn": sorted(part["bom-ref"] for part in parts)},
            *({"ref": part["bom-ref"]} for part in parts),
        ],
    }
    return json.dumps(body, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _unique(origin: Origin) -> str:
    """What tells two documents apart: content alone does not, as measurements may differ."""
    told = [origin.content, origin.job, origin.gates, dict(origin.metrics)]
    told += [dict(a.metrics) for a in origin.adapters]
    return json.dumps(told, sort_keys=True)


def _version(origin: Origin) -> Component:
    return {
        "type": "machine-learning-model",
        "bom-ref": origin.content,
        "name": origin.job,
        "version": origin.content,
        "hashes": [{"alg": "SHA-256", "content": origin.content}],
        **_licenses(origin.model),
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "text-generation",
                "datasets": [{"ref": ref} for ref in sorted(_data_refs(origin))],
            },
            "quantitativeAnalysis": {"performanceMetrics": list(_metrics(origin))},
        },
        "properties": [
            *({"name": "olive-operator:gate", "value": gate} for gate in origin.gates),
            *(
                {
                    "name": f"olive-operator:stage:{kind}",
                    "value": json.dumps(params, sort_keys=True),
                }
                for kind, params in origin.how
            ),
            *({"name": "olive-operator:swept", "value": key} for key in origin.swept),
        ],
    }


def _models(origin: Origin) -> Iterator[Component]:
    yield _model(origin.model, hub_name(origin.model) or origin.model.source)
    for adapter in origin.adapters:
        yield _adapter(adapter)


def _model(fetched: Fetched, name: str) -> Component:
    return {
        "type": "machine-learning-model",
        "bom-ref": fetched.key,
        "name": name or fetched.key,
        "version": fetched.content,
        **_licenses(fetched),
        **_purl(fetched),
        "externalReferences": [{"type": "distribution", "url": quote(fetched.source, _IN_URLS)}],
    }


def _adapter(adapter: AdapterOrigin) -> Component:
    """One that was trained here, or made elsewhere and converted; two may have one key."""
    found: Component = {
        "type": "machine-learning-model",
        "bom-ref": f"adapter/{adapter.name}",
        "name": adapter.name,
        "version": adapter.key,
        "properties": [
            {"name": "olive-operator:rank", "value": str(adapter.rank)},
            {"name": "olive-operator:lora", "value": json.dumps(adapter.training, sort_keys=True)},
        ],
    }
    if adapter.source:
        source = _model(adapter.source, hub_name(adapter.source))
        source["bom-ref"] = f"adapter/{adapter.name}/source"
        found["pedigree"] = {"ancestors": [source]}
    return found


def _data(origin: Origin) -> Iterator[Component]:
    found = {f.key: f for f in (origin.calibration, *(a.data for a in origin.adapters)) if f}
    for key, data in sorted(found.items()):
        yield {
            "type": "data",
            "bom-ref": key,
            "name": data.source or key,
            "version": data.content,
            "data": [{"type": "dataset", "name": data.source or key}],
            **_licenses(data),
        }


def _data_refs(origin: Origin) -> set[str]:
    return {str(part["bom-ref"]) for part in _data(origin)}


def _libraries(versions: Mapping[str, str]) -> Iterator[Component]:
    for name, version in versions.items():
        if version != "none":
            purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
            yield {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "purl": purl,
            }


def _metrics(origin: Origin) -> Iterator[dict[str, str]]:
    measured = {"base": origin.metrics, **{a.name: a.metrics for a in origin.adapters}}
    for of, metrics in measured.items():
        for name, value in sorted(metrics.items()):
            yield {"type": name, "value": f"{value:.6g}", "slice": of}


def _licenses(fetched: Fetched) -> dict[str, Any]:
    """By name: a hub's own words (``mit``, ``llama3.2``) are not always SPDX identifiers."""
    return {"licenses": [{"license": {"name": fetched.license}}]} if fetched.license else {}


def _purl(fetched: Fetched) -> dict[str, str]:
    """As github.com/package-url/purl-spec names models of a hub."""
    name = hub_name(fetched)
    return {"purl": f"pkg:huggingface/{name}@{fetched.content.partition('+')[0]}"} if name else {}
