"""The CRD's structural schema, as the API server applies it: defaults, then structure. Pure.

Source: kubernetes.io/docs, "Extend the Kubernetes API with CustomResourceDefinitions": defaulting
and nullable, field pruning.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from jsonschema import Draft4Validator  # whose exclusiveMinimum is a boolean, as OpenAPI's
from jsonschema.exceptions import ValidationError

Schema = Mapping[str, Any]


def defaulted(schema: Schema, value: Any) -> Any:
    """The value with every default that applies; a null is as good as nothing."""
    if isinstance(value, list):
        return [defaulted(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    parts: Schema = schema.get("properties", {})
    found = {k: v for k, v in value.items() if v is not None or k not in parts}
    for name, part in parts.items():
        if name not in found and "default" in part:
            found[name] = deepcopy(part["default"])
    return {name: defaulted(below(schema, name), v) for name, v in found.items()}


def below(schema: Schema, name: str) -> Schema:
    """The schema of a field of an object; empty where anything may stand."""
    found = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
    return found if isinstance(found, dict) else {}


def mistakes(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """A sentence for everything that does not fit the schema, beginning with the field's path."""
    found = Draft4Validator(_closed(schema)).iter_errors(value)
    for error in sorted(found, key=lambda e: [str(part) for part in e.absolute_path]):
        yield _sentence(error, field(path, error.absolute_path))


def twice(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """Entries of lists that the API server keeps as maps, and refuses to keep twice."""
    if isinstance(value, list):
        seen: list[Any] = []
        for number, item in enumerate(value):
            here = f"{path}[{number}]"
            if (keys := schema.get("x-kubernetes-list-map-keys")) and isinstance(item, dict):
                identity = {key: item.get(key) for key in keys}
                if identity in seen:
                    yield f"{here}: Duplicate value: {json.dumps(identity)}"
                seen.append(identity)
            yield from twice(schema.get("items", {}), item, here)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from twice(below(schema, name), part, f"{path}.{name}")


def field(path: str, parts: Sequence[Any]) -> str:
    """``spec`` and ``adapters, 0, name`` as ``spec.adapters[0].name``."""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path


def _closed(schema: Any) -> Any:
    """The schema with unknown fields forbidden, as by kubectl's strict validation."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {k: _closed(v) for k, v in schema.items() if not k.startswith("x-")}
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-list-type") == "set":
        found["uniqueItems"] = True
    return found


def _sentence(error: ValidationError, path: str) -> str:
    schema: Any = error.schema
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = sorted(schema["properties"])
        unknown = min(set(error.instance) - set(known), key=str)
        return f"{path}: unknown field {unknown!r}; there are {', '.join(known)}"
    if error.validator == "required" and isinstance(error.instance, dict):
        absent = next(name for name in schema["required"] if name not in error.instance)
        return f"{path}.{absent}: this field is needed"
    if error.validator == "anyOf":
        kinds = " or ".join(str(part.get("type", "")) for part in schema["anyOf"])
        return f"{path}: {error.instance!r} is not of type {kinds}"
    return f"{path}: {error.message}"
