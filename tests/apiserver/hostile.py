"""Specs that nobody means: valid ones, mutated by the CRD's own schema, at its edges and beyond."""

import copy
import random
import string
from collections.abc import Iterator
from typing import Any, Final

import yaml
from programs import ROOT

Schema = dict[str, Any]

UUID: Final = "0123abcd-1111-2222-3333-444444444444"
_LIKELY: Final[dict[str, tuple[str, ...]]] = {
    "source": (
        *("hf://a/b", "hf://a/b@main", "hf://datasets/a/b/c.jsonl", "pvc://data/x.jsonl"),
        *(
            "https://h/x",
            "s3://b/k",
            "az://c/b",
            "pvc://a.b-c/../..",
            "pvc://olive-store/x y",
            "hf://a/b@",
        ),
        "azureml://registries/r/models/m/versions/1",
        "azureml://subscriptions/0-a/resourcegroups/g/workspaces/w/models/m/versions/1",
        "azureml://subscriptions/0-a/resourceGroups/g/workspaces/w/datastores/d/paths/x y.jsonl",
        "azureml://",
    ),
    "secretRef": ("t", "a.b-c", "x" * 253, "-"),
    "sha256": ("0" * 64, "f" * 63),
    "template": (
        "{prompt} {response}",
        "{a}",
        "{{}}{a}",
        "x" * 8192,
        "{a}\n\x00{b}",
        "🦜{p}",
        "{a}{a}",
    ),
    "algorithm": ("rtn", "awq", "gptq"),
    "name": ("a", "x" * 40, "a-b", "0", "base", "model", "a--b", "1e3", "null", "true"),
    "size": ("1", "200Gi", "1e30", "0.1", "1m", "9999999Ei"),
    "sizeLimit": ("1", "20Gi", "1e30", "0.1", "1m", "9999999Ei"),
    "claim": ("c", "olive-store", "x" * 253, "a.b", "1.5"),
    "storageClassName": ("fast", "a.b"),
    "resource": ("nvidia.com/gpu", "a.b/c", "amd.com/gpu", "x/" + "y" * 60),
    "queue": ("team", "q" * 63),
    "priorityClassName": ("high",),
    "backoff": ("30s", "0s", "9999d99999h999999m99999999s", "1h"),
    "progressDeadline": ("0s", "1m", "9999d"),
    "ttlAfterFinished": ("0s", "7d", "9999d"),
    "key": ("nvidia.com/gpu", "", "a"),
    "value": ("", "x"),
    "min": ("0", "9.5", "3Gi", "-1", "1e3"),
    "max": ("0", "9.5", "3Gi", "9" * 31, "-0"),
    "model": ("travel", "a.b_c-", "x" * 255, "-"),
    "registry": ("models", "a.b", "é"),
    "workspace": ("slm", "a_b"),
    "resourceGroup": ("ml", "a(b)", "a."),
    "subscription": (UUID, UUID.upper(), "ab"),
    "description": ("", "🦜", "{{.}}\n" * 100),
    "repository": ("acme/travel", "a/..", "a"),
    "branch": ("main", "releases/v1", "-"),
    "reference": ("registry.example.com/a/b:v1", "localhost:5000/a:b", "a/b"),
    "clientID": (UUID,),
    "tenantID": (UUID, "-"),
    "serviceAccountName": ("default", "olive.a-b", "x" * 253, ""),
    "duration": ("1s", "9999d", "1h30m", "0s"),
    "module": ("q_proj", "self_attn.q_proj", "_"),
    "quantity": ("1", "500m", "8Gi", "0", "1e9"),
}
_ODD: Final[tuple[Any, ...]] = (
    *("", " ", "\n", "\u0000", "\u202e", "é" * 9, "x" * 5000, "../..", "${HOME}", "{{.}}", "null"),
    *(0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 0.0, -0.0, 1e-320, 1e308, True, False, None),
    *([], {}, [[]], {"": ""}, [None], {"a": {"a": {"a": {}}}}),
)


def spec_schema() -> Schema:
    """Of spec, as the API server has it."""
    path = ROOT / "crds" / "optimizationjobs.olive-operator.io.yaml"
    version = yaml.safe_load(path.read_text())["spec"]["versions"][0]
    found: Schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def _odd(draw: random.Random) -> Any:
    """One of its own: what is put into it later must not be in all others, nor in itself."""
    return copy.deepcopy(draw.choice(_ODD))


def value(schema: Schema, draw: random.Random, name: str = "", odd: float = 0.004) -> Any:
    """A value of the schema, or with the chance ``odd`` any other; so at every depth."""
    if draw.random() < odd:
        return _odd(draw)
    if "enum" in schema:
        return draw.choice(schema["enum"])
    if schema.get("x-kubernetes-preserve-unknown-fields") and name not in ("min", "max"):
        return _anything(schema, draw)
    match schema.get("type"):
        case "object":
            return _object(schema, draw, odd)
        case "array":
            count = draw.choice((0, 1, 1, 2, 3, min(schema.get("maxItems", 3), 64)))
            return [value(schema["items"], draw, _of_items(name), odd) for _ in range(count)]
        case "boolean":
            return draw.random() < 0.5
        case "integer" | "number":
            return _number(schema, draw)
    if name in ("min", "max") and draw.random() < 0.5:
        return draw.choice((0, 1, -5, 0.5, 1e300, 1e-300, 2**63))
    return draw.choice(_LIKELY.get(name, _LIKELY["duration"]))


def _object(schema: Schema, draw: random.Random, odd: float) -> dict[str, Any]:
    if more := schema.get("additionalProperties"):
        keys = draw.sample(["cpu", "memory", "ephemeral-storage", "q_proj", "a.b/c", "é"], 2)
        return {key: value(more, draw, "quantity", odd) for key in keys}
    required, chance = set(schema.get("required", ())), draw.choice((0.1, 0.4, 0.9))
    found = {
        name: value(of, draw, name, odd)
        for name, of in schema.get("properties", {}).items()
        if name in required or draw.random() < chance
    }
    if draw.random() < odd:
        found["unknown"] = _odd(draw)
    return found


def _number(schema: Schema, draw: random.Random) -> int | float:
    low, high = schema.get("minimum", 0), schema.get("maximum", 2**31)
    whole = draw.choice((low, high, low + 1, 1, 8))
    if schema["type"] == "integer":
        return int(whole)
    return draw.choice((whole, 0.1, 1e-9, 0.9))


def _anything(schema: Schema, draw: random.Random, depth: int = 0) -> Any:
    """What a schema lets through that knows nothing of it: any JSON at all."""
    found = {
        name: _anything({}, draw, depth + 1) or {"a": 1} for name in schema.get("properties", {})
    }
    for _ in range(draw.randint(0, 3)):
        key = "".join(draw.choices(string.printable, k=draw.randint(0, 9)))
        deeper = depth < 6 and draw.random() < 0.5
        found[key] = _anything({}, draw, depth + 1) if deeper else _odd(draw)
    return found


def _of_items(name: str) -> str:
    return {"targetModules": "module", "excludeModules": "module", "products": "name"}.get(
        name, name
    )


def mutated(spec: Any, schema: Schema, draw: random.Random) -> Any:
    """The spec with some parts of it replaced, left out, or put in."""
    found = copy.deepcopy(spec)
    for _ in range(draw.choice((1, 1, 2, 3, 5))):
        found = _mutated(found, schema, draw, "spec")
    return found


def _mutated(found: Any, schema: Schema, draw: random.Random, name: str) -> Any:
    parts = list(_parts(found, schema))
    if not parts or draw.random() < 0.15:
        return value(schema, draw, name, odd=0.1)
    key, of = draw.choice(parts)
    match draw.random():
        case chance if chance < 0.15 and len(parts) > 1:
            del found[key]
        case chance if chance < 0.35 and isinstance(found, dict) and "properties" in schema:
            more = draw.choice(list(schema["properties"]))
            found[more] = value(schema["properties"][more], draw, more)
        case _:
            of_part = _of_items(name) if isinstance(key, int) else key
            found[key] = _mutated(found[key], of, draw, of_part)
    return found


def _parts(found: Any, schema: Schema) -> Iterator[tuple[Any, Schema]]:
    if isinstance(found, dict):
        anything = schema.get("additionalProperties") or {}
        for key in found:
            yield key, schema.get("properties", {}).get(key, anything)
    elif isinstance(found, list):
        for index in range(len(found)):
            yield index, schema.get("items", {})
