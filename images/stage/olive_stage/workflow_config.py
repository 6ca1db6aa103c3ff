"""A user's ``olive run`` configuration made safe to run: our model and folders, no code.

Pure. What is refused could read other files of the pod, run code that nobody reviewed, or reach
out of the pod. The file system is read-only but for the store, and the environment offline.
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
    "hf_token",
)
REMOTE_CODE = ("trust_remote_code", "hf_remote")
LOCAL = "localsystem"
THRESHOLD = "threshold"
OURS = ("cache_dir", "output_dir", "clean_cache", "log_to_file")

Field = tuple[str | int, ...]
"""Where a field is: the names and numbers that lead to it."""


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
    """The absolute goals of the evaluators, wherever they are described.

    ``config`` is ``prepared`` and not yet Olive's. What has no name or value, Olive refuses.
    """
    return tuple(
        Limit(
            f"{metric.get('name')}-{part.get('name')}",
            goal.get("value", math.nan),
            _higher_is_better(metric, part),
        )
        for _, metric in _fields(config)
        if isinstance(metric, dict) and isinstance(metric.get("sub_types"), list)
        for part in metric["sub_types"]
        if (goal := part.get("goal") or {}).get("type") == THRESHOLD
    )


def _higher_is_better(metric: dict[str, Any], part: dict[str, Any]) -> bool:
    """As Olive reads it: its default depends on the metric's type, and size has no other."""
    kind = metric.get("type")
    if kind == "size_on_disk":
        return False
    usual = kind == "throughput" or (kind == "accuracy" and part.get("name") != "wer")
    return bool(part.get("higher_is_better", usual))


def prepared(
    config: dict[str, Any], model: Path, scratch: Path, remote_code: bool
) -> dict[str, Any]:
    """The configuration with ``model`` as its input and all that it writes below ``scratch``.

    InvalidInput names the field that is refused.
    """
    # Olive reads engine settings at the top level, too
    own = {k: v for k, v in config.items() if v is not None and k not in (*OURS, "input_model")}
    if not own.get("passes"):
        raise invalid("workflow has no passes")
    for path, value in _fields(own):
        _check_form(path, value)
        _check(path, value, remote_code)
    found = deepcopy(own)
    found["input_model"] = {
        "type": "HfModel",
        "model_path": str(model),
        "load_kwargs": {"trust_remote_code": remote_code},
    }
    engine = {k: v for k, v in found.get("engine", {}).items() if k not in OURS}
    ours = {"cache_dir": str(scratch / "cache"), "output_dir": str(scratch / "out")}
    found["engine"] = engine | ours
    return found


def _fields(value: Any, path: Field = ()) -> Iterator[tuple[Field, Any]]:
    """Every field at any depth: where it is, and its value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*path, key), inner
        yield from _fields(inner, (*path, key))


def _place(path: Field) -> str:
    return "workflow" + "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in path)


def _check_form(path: Field, value: Any) -> None:
    """Olive takes these forms for granted and fails without words; so does ``thresholds``."""
    match path:
        case ("passes", _):
            form: Any = dict | list
            named = "an object or a list of objects"
        case (
            ("engine" | "evaluators" | "passes" | "systems",)
            | ("evaluators" | "systems", _)
            | ("passes", _, int())
            | ("data_configs", int())
            | (*_, "evaluator", "metrics", int())
            | ("evaluators", _, "metrics", int())
            | (*_, "sub_types", int())
        ):
            form, named = dict, "an object"
        case (
            ("data_configs",)
            | (*_, "evaluator", "metrics")
            | ("evaluators", _, "metrics")
            | (*_, "sub_types")
        ):
            form, named = list, "a list"
        case (*_, "sub_types", int(), "goal"):
            form, named = dict | None, "an object"
        case (*_, "sub_types", int(), "goal", "value"):
            form, named = int | float, "a number"
        case (*_, "sub_types", int(), "higher_is_better"):
            form, named = bool, "true or false"
        case _:
            return
    if not isinstance(value, form):
        raise invalid(f"{_place(path)} must be {named}")


def _check(path: Field, value: Any, remote_code: bool) -> None:
    place, key = _place(path), path[-1]
    if key in CODE and value:
        raise invalid(f"{place} would run code of its own, which a workflow may not")
    if key in ELSEWHERE and value:
        raise invalid(f"{place} reaches out of the stage's pod, which a workflow may not")
    if key in REMOTE_CODE and value and not remote_code:
        raise invalid(f"{place} needs model.trustRemoteCode")
    replaced = path[:-1] == ("engine",) and key in OURS
    if not replaced and isinstance(value, str) and _is_elsewhere(value):
        raise invalid(f"{place} names {value!r}; a workflow reads no files but the model's")
    if _is_system(path) and isinstance(value, dict):
        kind = str(value.get("type", ""))
        if kind.lower() != LOCAL:
            raise invalid(f"{place} is of type {kind!r}; only LocalSystem can be used")


def _is_elsewhere(value: str) -> bool:
    return value.startswith(("/", "~")) or "://" in value or ".." in Path(value).parts


def _is_system(path: Field) -> bool:
    """Whether an object here describes a system: by its name, or where it is used."""
    return path[-1] in ("host", "target") or (path[0] == "systems" and len(path) == 2)
