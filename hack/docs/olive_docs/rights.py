"""The operator's rights as a table of docs/security.md, from what the chart renders."""

from collections.abc import Iterator
from typing import Final

import yaml

from olive_docs.hooks import ROOT

PAGE: Final = ROOT / "docs" / "security.md"
RENDERED: Final = ROOT / "tests" / "chart" / "golden" / "everything.yaml"
"""The chart with every value set, as the chart's own tests hold it."""
OPERATOR: Final = "optimizationjobs/status"
"""Nobody but the operator may write it: by this its roles are known."""
BEGIN, END = "<!-- rights -->\n", "<!-- /rights -->\n"


def write() -> None:
    """Write the table anew."""
    PAGE.write_text(replaced(PAGE.read_text()))


def replaced(page: str) -> str:
    """The page with this table."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = "\n".join(_rows())
    return f"{before}{BEGIN}\n{rows}\n\n{END}{after}"


def _rows() -> Iterator[str]:
    yield "| API group | resources | verbs |"
    yield "|---|---|---|"
    for rule in _rules():
        groups = ", ".join(group or "core" for group in rule["apiGroups"])
        resources = ", ".join(f"`{name}`" for name in rule["resources"])
        yield f"| {groups} | {resources} | {', '.join(rule['verbs'])} |"


def _rules() -> list[dict[str, list[str]]]:
    for manifest in yaml.safe_load_all(RENDERED.read_text()):
        if manifest and manifest["kind"] in ("ClusterRole", "Role"):
            rules: list[dict[str, list[str]]] = manifest["rules"]
            if any(OPERATOR in rule["resources"] for rule in rules):
                return rules
    raise ValueError(f"{RENDERED} has no role with the right to write {OPERATOR}")
