"""The table of values in the chart's README, from the `# --` comments of values.yaml."""

import json
import re
from typing import Any

import yaml

BEGIN, END = "<!-- values -->\n", "<!-- /values -->\n"


def table(values: str) -> str:
    """Value, default and description of every value that has a `# --` comment; all must."""
    rows = ["| Value | Default | Description |", "| --- | --- | --- |"]
    described = _described(values)
    for path, default in _leaves(yaml.safe_load(values), "", set(described)):
        if path not in described:
            raise ValueError(f"values.yaml: {path} has no '# --' comment")
        rows.append(f"| `{path}` | `{json.dumps(default)}` | {described[path]} |")
    return "\n".join(rows) + "\n"


def replaced(readme: str, rows: str) -> str:
    """The README with this table."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{rows}{END}{after}"


def _described(values: str) -> dict[str, str]:
    """Comments by the path of the value below them."""
    found: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in values.splitlines():
        if text := re.fullmatch(r"\s*# (-- )?(.*)", line):
            if text[1]:
                comment = [text[2]]
            elif comment:
                comment.append(text[2])
        elif key := re.match(r"(\s*)([A-Za-z]+):", line):
            indent = len(key[1])
            parents = [(i, name) for i, name in parents if i < indent] + [(indent, key[2])]
            if comment:
                found[".".join(name for _, name in parents)] = " ".join(comment)
            comment = []
        else:
            comment = []
    return found


def _leaves(value: Any, path: str, described: set[str]) -> list[tuple[str, Any]]:
    """Every value that is described as a whole, or that is no map."""
    if path in described or not isinstance(value, dict) or not value:
        return [(path, value)]
    return [
        leaf
        for name, part in value.items()
        for leaf in _leaves(part, f"{path}.{name}".lstrip("."), described)
    ]
