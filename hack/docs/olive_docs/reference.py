"""The reference of a kind, from its CustomResourceDefinition: every field with all that holds."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from olive_docs.hooks import ROOT

FOLDER: Final = ROOT / "docs" / "reference"
CRDS: Final = {
    "optimizationjob.md": "optimizationjobs.olive-operator.io.yaml",
    "artifact.md": "artifacts.olive-operator.io.yaml",
}
Schema = Mapping[str, Any]

_BOUNDS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "{} or more characters",
    "maxLength": "at most {} characters",
    "minItems": "{} or more entries",
    "maxItems": "at most {} entries",
    "minProperties": "{} or more fields",
    "maxProperties": "at most {} fields",
    "format": "{}",
    "pattern": "matches `{}`",
}


def write() -> None:
    """Write every page anew."""
    for name, crd in CRDS.items():
        (FOLDER / name).write_text(page(crd))


def page(crd: str) -> str:
    """The page of the kind that this file of crds/ defines."""
    spec = yaml.safe_load((ROOT / "crds" / crd).read_text())["spec"]
    return "\n".join(_page(crd, spec)) + "\n"


def _page(crd: str, spec: Schema) -> Iterator[str]:
    version = spec["versions"][0]
    schema, names = version["schema"]["openAPIV3Schema"], spec["names"]
    yield f"# {names['kind']}"
    yield ""
    yield f"<!-- Written by `python hack/docs reference` from crds/{crd}: edit that. -->"
    yield ""
    yield f"`apiVersion: {spec['group']}/{version['name']}`, `kind: {names['kind']}`"
    short = ", ".join(f"`{name}`" for name in names["shortNames"])
    yield f"(`kubectl get {names['plural']}.{spec['group']}`; short: {short})."
    yield _text(schema.get("description", ""))
    yield from _rules(schema, "The API server refuses an object with these words:")
    for part in ("spec", "status"):
        inner = schema["properties"].get(part)
        if inner:
            yield from _part(part, inner)


def _part(name: str, schema: Schema) -> Iterator[str]:
    """A table of the plain fields, and a section for each field that has fields of its own."""
    yield from ["", f"## {name}", ""]
    if schema.get("description"):
        yield _text(schema["description"])
    yield from _table(schema, deep=False)
    yield from _rules(schema, "Refused:")
    for field, inner in schema["properties"].items():
        if _fields(inner):
            yield from ["", f"### {name}.{field}", "", _text(inner.get("description", ""))]
            yield from _table(inner, deep=True)
            yield from _rules(inner, "Refused:", deep=True)


def _table(schema: Schema, *, deep: bool) -> Iterator[str]:
    yield from ["", "| field | type | default | constraints | meaning |", "|---|---|---|---|---|"]
    for path, inner, required in _rows(schema, deep=deep):
        limits = [*(["required"] if required else []), *_limits(inner)]
        cells = (f"`{path}`", _type(inner), _default(inner), "; ".join(limits))
        meaning = _text(inner.get("description", "")).replace("|", "\\|")
        yield f"| {' | '.join(cells)} | {meaning} |"


def _rows(schema: Schema, before: str = "", *, deep: bool) -> Iterator[tuple[str, Schema, bool]]:
    required = _object(schema).get("required", ())
    for name, inner in _fields(schema).items():
        path = f"{before}{name}{'[]' if inner.get('type') == 'array' else ''}"
        yield path, inner, name in required
        if deep:
            yield from _rows(inner, f"{path}.", deep=True)


def _object(schema: Schema) -> Schema:
    """The schema of an entry, where it is a list."""
    found: Schema = schema.get("items", schema)
    return found


def _fields(schema: Schema) -> Mapping[str, Schema]:
    found: Mapping[str, Schema] = _object(schema).get("properties", {})
    return found


def _type(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if _mixed(schema):
        return "number or quantity"
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    values = schema.get("additionalProperties")
    return f"map to {_type(values)}" if isinstance(values, Mapping) else kind


def _mixed(schema: Schema) -> bool:
    """Whether it takes a number or a string: one without a type, with bounds that no other fits."""
    return "type" not in schema and "pattern" in schema and "maxItems" in schema


def _default(schema: Schema) -> str:
    if "default" not in schema:
        return ""
    value = schema["default"]
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return '`""`' if value == "" else f"`{value}`"


def _limits(schema: Schema) -> Iterator[str]:
    if values := schema.get("enum"):
        yield "one of " + ", ".join(f"`{value}`" for value in values)
    for word, text in _BOUNDS.items():
        if word in schema and (word == "pattern" or not _mixed(schema)):
            exclusive = word == "minimum" and schema.get("exclusiveMinimum")
            yield ("above {}" if exclusive else text).format(str(schema[word]).replace("|", "\\|"))
    if schema.get("x-kubernetes-preserve-unknown-fields") and not _mixed(schema):
        yield "any fields"


def _rules(schema: Schema, title: str, *, deep: bool = False) -> Iterator[str]:
    found = list(dict.fromkeys(_messages(schema, deep=deep)))
    if found:
        yield from ["", title, "", *(f"- {_text(message)}" for message in found)]


def _messages(schema: Schema, *, deep: bool) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        if "message" in rule:
            yield rule["message"]
    if deep:
        for inner in (*schema.get("properties", {}).values(), schema.get("items")):
            if inner:
                yield from _messages(inner, deep=True)


def _text(text: str) -> str:
    """One line, in which nothing is a tag."""
    return " ".join(text.split()).replace("<", "&lt;")
