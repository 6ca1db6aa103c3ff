"""What a version in Azure ML tells of itself in properties, which its other users can filter by."""

import json
from typing import Any, Final

from olive_stage.publish.origin import Origin

PREFIX: Final = "olive-operator."
CONTENT: Final = f"{PREFIX}content"
MOST_OF_A_PROPERTY: Final = 1000


def properties_of(origin: Origin, content: str) -> dict[str, str]:
    """What the version tells of where it is from; each value shortened to what a property holds."""
    told: dict[str, Any] = {
        "content": content,
        "job": origin.job,
        "gates": "; ".join(origin.gates),
        "base": origin.base,
        "model": origin.model.source,
        "revision": origin.model.content,
        "license": origin.model.license,
        "versions": dict(origin.libraries),
        "metrics": dict(origin.metrics),
    }
    for adapter in origin.adapters:
        told[f"adapter.{adapter.name}"] = adapter.key
        told[f"metrics.{adapter.name}"] = dict(adapter.metrics)
        if data := adapter.data or adapter.source:
            told[f"data.{adapter.name}"] = f"{data.source} {data.content}"
    return {f"{PREFIX}{name}": _text(value) for name, value in told.items() if value}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= MOST_OF_A_PROPERTY else f"{text[: MOST_OF_A_PROPERTY - 1]}…"
