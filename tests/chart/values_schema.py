"""Kubernetes' types in the chart's values.schema.json: a line each, written by no hand."""

import json
import re

from . import kubernetes_schemas

LINE = re.compile(r'^    "io\.k8s\..*\n', re.MULTILINE)
BEGIN = '  "definitions": {\n'


def with_types(schema: str) -> str:
    """The schema with the types that it refers to, as the newest Kubernetes has them."""
    own = LINE.sub("", schema)
    roots = re.findall(r'"#/definitions/(io\.k8s\.[^"]+)"', own)
    newest = kubernetes_schemas.supported()[-1]
    found = kubernetes_schemas.definitions(newest, roots)
    lines = (f'    "{name}": {_here(part)},\n' for name, part in found.items())
    before, begin, after = own.partition(BEGIN)
    return "".join([before, begin, *lines, after])


def _here(part: kubernetes_schemas.Schema) -> str:
    return json.dumps(part).replace('"#/$defs/', '"#/definitions/')
