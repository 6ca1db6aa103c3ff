"""A user's ``olive run`` configuration made safe to run: our model and folders, no code.

Pure. What is refused could read other files of the pod, run code that nobody reviewed, or reach
out of the pod; the stage's network and file system are closed besides.
"""

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olive_stage.work import invalid

CODE = (
    "user_script",
    "script_dir",
    "evaluate_func",
    "metric_func",
    "model_loader",
    "model_script",
    "additional_files",
    "custom_op_lib",
)
ELSEWHERE = (
    "cache_config",
    "packaging_config",
    "python_environment_path",
    "environment_variables",
    "prepend_to_path",
    "build_context_path",
    "dockerfile",
    "enable_shared_cache",
    "azureml_client",
    "azureml_client_config",
)
LOCAL = "localsystem"
THRESHOLD = "threshold"
OURS = ("cache_dir", "output_dir", "clean_cache", "log_to_file")


@dataclass(frozen=True)
class Limit:
    """A goal in absolute terms: Olive's name of the metric, and the least or the most it may be."""

    metric: str
    value: float
    higher_is_better: bool

    def met(self, measured: Mapping[str, float]) -> bool:
        """Whether the measurement is there and within the limit."""
        value = measured.get(self.metric, math.nan)
        return value >= self.value if self.higher_is_better else value <= self.value


def thresholds(config: dict[str, Any]) -> tuple[Limit, ...]:
    """The absolute goals of the evaluators, wherever they are described."""
    metrics = [
        value
        for _, _, value in _fields(config, "workflow")
        if isinstance(value, dict) and isinstance(value.get("sub_types"), list)
    ]
    return tuple(
        Limit(
            f"{metric['name']}-{part['name']}", goal["value"], part.get("higher_is_better", False)
        )
        for metric in metrics
        for part in metric["sub_types"]
        if (goal := part.get("goal") or {}).get("type") == THRESHOLD
    )


def prepared(
    config: dict[str, Any], model: Path, scratch: Path, remote_code: bool
) -> dict[str, Any]:
    """The configuration with ``model`` as its input and all that it writes below ``scratch``.

    InvalidInput names the field that is refused.
    """
    if not config.get("passes"):
        raise invalid("workflow has no passes")
    for place, key, value in _fields(config, "workflow"):
        _check(place, key, value, remote_code)
    _check_systems(config)
    found = deepcopy(config)
    found["input_model"] = {
        "type": "HfModel",
        "model_path": str(model),
        "load_kwargs": {"trust_remote_code": remote_code},
    }
    engine = found["engine"] = found.get("engine") or {}
    for settings in (found, engine):  # Olive reads engine settings at the top level, too
        for key in OURS:
            settings.pop(key, None)
    engine.update(cache_dir=str(scratch / "cache"), output_dir=str(scratch / "out"))
    return found


def _fields(value: Any, place: str) -> Iterator[tuple[str, str, Any]]:
    """Every field at any depth: its place in words, its name, its value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        here = f"{place}[{key}]" if isinstance(key, int) else f"{place}.{key}"
        yield here, str(key), inner
        yield from _fields(inner, here)


def _check(place: str, key: str, value: Any, remote_code: bool) -> None:
    if place.startswith("workflow.input_model"):
        return  # replaced, whatever it says
    if key in CODE and value:
        raise invalid(f"{place} would run code of its own, which a workflow may not")
    if key in ELSEWHERE and value:
        raise invalid(f"{place} reaches out of the stage's pod, which a workflow may not")
    if key == "trust_remote_code" and value and not remote_code:
        raise invalid(f"{place} needs model.trustRemoteCode")
    if key not in OURS and isinstance(value, str) and _is_elsewhere(value):
        raise invalid(f"{place} names {value!r}; a workflow reads no files but the model's")


def _is_elsewhere(value: str) -> bool:
    return value.startswith(("/", "~")) or "://" in value or ".." in Path(value).parts


def _check_systems(config: dict[str, Any]) -> None:
    """Every system, wherever it is described, is this machine."""
    for place, key, value in _fields(config, "workflow"):
        described = place.startswith("workflow.systems.") and place.count(".") == 2
        if isinstance(value, dict) and (described or key in ("host", "target")):
            kind = str(value.get("type", ""))
            if kind.lower() != LOCAL:
                raise invalid(f"{place} is of type {kind!r}; only LocalSystem can be used")
