"""Writes argocd-cm.yaml, the entries of Argo CD's ConfigMap, from the scripts beside it.

The folder is laid out as Argo CD's own resource_customizations: GROUP/KIND/health.lua, and below
actions discovery.lua and NAME/action.lua.
"""

from pathlib import Path
from textwrap import indent

HERE = Path(__file__).resolve().parent
KINDS = ("olive-operator.io/OptimizationJob",)
ACTIONS = ("retry", "suspend", "resume")

HEAD = """\
# Entries of Argo CD's ConfigMap, written by argocd_cm.py from the scripts in this folder. To apply
# them, and leave all others alone:
#
#   kubectl apply --server-side --field-manager=olive-operator -n argocd -f argocd-cm.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  labels:
    app.kubernetes.io/name: argocd-cm
    app.kubernetes.io/part-of: argocd
data:
"""


def config_map() -> str:
    """The ConfigMap as it is written."""
    return HEAD + indent("".join(_entries(kind) for kind in KINDS), "  ")


def _entries(kind: str) -> str:
    folder, name = HERE / kind, kind.replace("/", "_")
    health = (folder / "health.lua").read_text()
    return _block(f"resource.customizations.health.{name}", health) + _block(
        f"resource.customizations.actions.{name}", _actions(folder / "actions")
    )


def _actions(folder: Path) -> str:
    discovery = _block("discovery.lua", (folder / "discovery.lua").read_text())
    definitions = [
        f"  - name: {name}\n"
        + indent(_block("action.lua", (folder / name / "action.lua").read_text()), "    ")
        for name in ACTIONS
    ]
    return discovery + "definitions:\n" + "".join(definitions)


def _block(key: str, text: str) -> str:
    return f"{key}: |\n" + indent(text, "  ")


if __name__ == "__main__":
    (HERE / "argocd-cm.yaml").write_text(config_map())
