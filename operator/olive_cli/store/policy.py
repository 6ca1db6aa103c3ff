"""What is kept in the stores, and for how long: by the operator's own configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml

from olive_cli.cluster.apiserver import CONFIG_MAPS
from olive_cli.errors import AbsentError, ForbiddenError
from olive_operator.api.duration import parsed
from olive_operator.config import Retention

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster

OPERATORS = "app.kubernetes.io/name=olive-operator"


@dataclass(frozen=True)
class Policy:
    """What is kept; ``known``: as the operator has it, and not the chart's default."""

    retention: Retention
    known: bool = True

    @property
    def rule(self) -> str:
        """By which rule something goes."""
        kept = self.retention
        age = f"after {kept.retention}" if kept.retention else "never for its age"
        size = f"; earlier where a store has more than {kept.maxSize}" if kept.maxSize else ""
        whose = "" if self.known else " (the chart's default: what this one has you may not read)"
        return f"what is unused goes {age}{size}{whose}"

    def goes(self, since: datetime, now_due: bool) -> str:
        """When something goes that is unused since then."""
        if now_due:
            return "now"
        if not self.retention.retention:
            return "when room is needed" if self.retention.maxSize else "never"
        return f"{since + parsed(self.retention.retention):%Y-%m-%d %H:%M} UTC"


def policy_of(cluster: "Cluster", namespace: str) -> Policy:
    """Of the operator that has the namespace's jobs; the chart's where one may not read it."""
    try:
        maps = cluster.server.list(CONFIG_MAPS, None, labelSelector=OPERATORS)
    except (ForbiddenError, AbsentError):
        maps = []
    for body in maps:
        config = _config((body.get("data") or {}).get("config.yaml") or "")
        if config and namespace in (config.get("namespaces") or [namespace]):
            return Policy(_retention(config.get("store") or {}))
    return Policy(Retention(), known=False)


def _config(text: str) -> Mapping[str, Any]:
    """Empty for what is no configuration of an operator: the label is anybody's to set."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) and "images" in found else {}


def _retention(store: Mapping[str, Any]) -> Retention:
    known = {name: str(store[name]) for name in ("retention", "maxSize") if name in store}
    return Retention(**known)
