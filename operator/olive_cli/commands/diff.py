"""``kubectl olive diff``: which stages applying a manifest would run, why, and at what cost."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from olive_cli.cluster.apiserver import ARTIFACTS, JOBS
from olive_cli.cluster.applied import KIND, as_last_time, written
from olive_cli.errors import WrongInputError
from olive_cli.forecast.outlook import Fate, Outlook, forecast
from olive_cli.job.view import Body
from olive_cli.terminal import spoken
from olive_cli.terminal.console import Terminal
from olive_operator.labels import API_VERSION

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster

STYLES = {Fate.RUNS: "yellow", Fate.UNKNOWN: "yellow", Fate.CACHED: "green", Fate.FAILED: "red"}


def diff(cluster: "Cluster", file: str, namespace: str | None) -> int:
    """Show it for every job of the file; 1 if a stage would run. ``namespace``: as it was given."""
    console, runs = Terminal(), False
    where = [f"--namespace={namespace}"] if namespace else []
    for text, name, place in manifests(file):
        before = cluster.server.get(JOBS, place or cluster.namespace, name)
        how = as_last_time(before) if before else []
        after = written(cluster.kubectl, file, text, [*where, *how])
        artifacts = cluster.server.list(ARTIFACTS, after["metadata"]["namespace"])
        found = forecast(before, after, artifacts)
        console.print(picture(found))
        for line in summary(before, after, found):
            console.print(line, soft_wrap=True)
        runs = runs or any(one.fate.runs for one in found)
    return 1 if runs else 0


def manifests(file: str) -> list[tuple[str, str, str]]:
    """Each OptimizationJob of the file: its own text, its name and its namespace."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        # Each as it was written: what is parsed and written anew may have become another value.
        spans = [(n.start_mark.index, n.end_mark.index) for n in yaml.compose_all(text) if n]
        parts = [(text[i:j], yaml.safe_load(text[i:j])) for i, j in spans]
    except OSError as error:
        raise WrongInputError(f"{file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongInputError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    found = []
    for part, body in parts:
        if not isinstance(body, dict) or not isinstance(meta := body.get("metadata"), dict):
            continue
        kind = (body.get("apiVersion"), body.get("kind"))
        if kind == (API_VERSION, KIND) and isinstance(meta.get("name"), str) and meta["name"]:
            found.append((f"{part}\n", meta["name"], str(meta.get("namespace") or "")))
    if not found:
        raise WrongInputError(f"{file} has no {KIND} of {API_VERSION} with a name")
    return found


def picture(found: Sequence[Outlook]) -> RenderableType:
    """A row for every stage."""
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("STAGE", "WOULD BE", "GPU"):
        grid.add_column(column, no_wrap=True)
    grid.add_column("LAST COST", justify="right", no_wrap=True)
    grid.add_column("WHY", overflow="fold")
    for one in found:
        fate = Text(one.fate.value, STYLES.get(one.fate, "dim"))
        grid.add_row(one.name, fate, "yes" if one.gpu else "", _cost(one), one.why)
    return grid


def summary(before: Body | None, after: Body, found: Sequence[Outlook]) -> list[str]:
    """The whole in a few sentences."""
    name = after["metadata"]["name"]
    runs = [one for one in found if one.fate.runs]
    stages = {str(s["name"]) for s in ((before or {}).get("status") or {}).get("stages") or []}
    lines = []
    if not runs:
        lines.append(f"{name}: nothing would run")
    else:
        what = f"{len(runs)} of {spoken.count(len(found), 'stage')} would run"
        lines.append(f"{name}: {what}, {_total(runs)}")
    if gone := sorted(stages - {one.name for one in found}):
        lines.append(f"no longer part of it: {', '.join(gone)}; their artifacts stay for a while")
    if runs and after["spec"].get("suspend"):
        lines.append("it is suspended: none of this runs until it is resumed")
    if stuck := [one.name for one in found if one.fate == Fate.FAILED]:
        where = f"{name} -n {after['metadata']['namespace']}"
        lines.append(f"{', '.join(stuck)} stays failed: kubectl olive retry {where}")
    return lines


def _total(runs: Sequence[Outlook]) -> str:
    """What they took the last time, and how much of it is not known."""
    on_gpu = [one for one in runs if one.gpu]
    known = [one for one in on_gpu if one.gpu_seconds]
    gpu = sum(one.gpu_seconds or 0.0 for one in known)
    new = len(on_gpu) - len(known)
    if not on_gpu:
        seconds = sum(one.seconds or 0.0 for one in runs)
        last = f"about {spoken.duration(seconds)} by the last run" if seconds else "time unknown"
        return f"none on a GPU; {last}"
    parts = [f"about {spoken.gpu_time(gpu)} by the last run"] if known else []
    if new:
        parts.append(f"{spoken.count(new, 'GPU stage')} of unknown cost")
    return "; ".join(parts)


def _cost(one: Outlook) -> str:
    if not one.fate.runs:
        return ""
    if one.gpu:
        return spoken.gpu_time(one.gpu_seconds) if one.gpu_seconds else "unknown"
    return spoken.duration(one.seconds) if one.seconds is not None else "unknown"
