"""workflow: an ``olive run`` configuration in place of quantize; the model it leaves counts.

Olive's engine reports success for failures and catches what its passes raise, so the best model is
loaded from disk, and the error, if there is none, is found in the engine's log. Olive's cache is
private to the attempt: it would take a changed file for the one it knows.
"""

import contextlib
import json
import logging
import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from olive.engine.output import ModelOutput, WorkflowOutput
from olive.package_config import OlivePackageConfig
from olive.workflows import run
from pydantic import ValidationError

from olive_contract.failures import StageFailure
from olive_contract.params import WorkflowParams
from olive_stage.best_model import keep
from olive_stage.console import progress
from olive_stage.model_folder import remote_code
from olive_stage.work import Made, Work, invalid
from olive_stage.workflow_config import Limit, prepared, thresholds

OWN_PASSES = {"GenAIModelBuilder": "olive_stage.genai_pass.GenAIModelBuilder"}


def make(params: WorkflowParams, work: Work) -> Made:
    """Run the workflow on input ``model`` and keep the best model that it leaves."""
    source = work.folder("model")
    runs_code = remote_code(work.input("model").about)
    work.need(4 * work.input("model").size)
    with private(work.scratch()) as scratch:
        config = prepared(params.config, source, scratch, runs_code)
        limits = thresholds(config)  # before Olive changes the configuration
        output = run_olive(config, scratch)
        best = best_of(output, limits)
        progress(90, message="checking the best model")
        about = keep(best.olive_model_config, source, work.out, runs_code)
    nodes = output.footprint.nodes
    return Made(
        metrics={**measured(best), "modelsTried": float(tried(nodes))},
        about={**about, "passes": passes_of(best, nodes), "remoteCode": runs_code},
        libraries=("olive-ai", "torch", "transformers", "onnxruntime", "onnxruntime-genai"),
    )


@contextlib.contextmanager
def private(scratch: Path) -> Iterator[Path]:
    """A working folder of this attempt alone: cache, output, temporary files, relative paths."""
    folder = Path(tempfile.mkdtemp(prefix="olive-", dir=scratch))
    (folder / "tmp").mkdir()
    usual = tempfile.tempdir
    try:
        with contextlib.chdir(folder):
            yield folder
    finally:
        tempfile.tempdir = usual  # Olive sets it for the process
        shutil.rmtree(folder, ignore_errors=True)


def run_olive(config: dict[str, Any], scratch: Path) -> WorkflowOutput:
    """What Olive's engine found: at least one model, or a failure in words."""
    log = EngineLog()
    try:
        with log.listening():
            output = run(config, package_config=packages(), tempdir=scratch / "tmp")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise invalid(f"Olive refuses the workflow: {place}: {first['msg']}") from error
    except (ValueError, ImportError) as error:  # of the configuration: passes' own are swallowed
        raise invalid(f"Olive refuses the workflow: {error}") from error
    if output and output.has_output_model():
        return output
    if log.error is not None:
        said = f"{type(log.error).__name__}: {log.error}"
        raise RuntimeError(f"the workflow left no model; Olive said: {said}") from log.error
    raise _unmet(log.passes)


def best_of(output: WorkflowOutput, limits: Sequence[Limit]) -> ModelOutput:
    """The first of Olive's ranking that meets the goals; Olive itself forgets absolute ones."""
    models = output.get_output_models()
    for model in models:
        found = measured(model)
        relative = model.metrics is None or model.metrics["if_goals_met"]
        if relative and all(limit.met(found) for limit in limits):
            return model
    raise _unmet(tried(output.footprint.nodes))


def _unmet(count: int) -> StageFailure:
    return invalid(
        f"none of the {count} models that the workflow made meets the goals of its evaluators"
        if count
        else "the workflow ran no pass"
    )


def packages() -> dict[str, Any]:
    """Olive's passes and ours."""
    path = OlivePackageConfig.get_default_config_path()
    found: dict[str, Any] = json.loads(Path(path).read_text())
    every = {key: ["*"] for key in ("supported_providers", "supported_accelerators")}
    found["passes"] |= {n: {"module_path": own, **every} for n, own in OWN_PASSES.items()}
    return found


class EngineLog(logging.Handler):
    """Olive's own log, heard: how many passes ran, and the last exception that it swallowed."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0
        self.error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self.error = record.exc_info[1]
        elif str(record.msg).startswith("Running pass "):
            self.passes += 1
            progress(min(5 * self.passes, 85), message=record.getMessage())

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Within this context the log is heard."""
        logger = logging.getLogger("olive")
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)


def measured(best: ModelOutput) -> dict[str, float]:
    """What Olive's evaluators measured on the best model; finite numbers only."""
    values = {name: found["value"] for name, found in (best.metrics_value or {}).items()}
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def passes_of(best: ModelOutput, nodes: dict[str, Any]) -> list[dict[str, Any]]:
    """The passes that made the best model, in order, with their configurations."""
    found, node = [], nodes[best.model_id]
    while node.from_pass:
        found.append({"type": node.from_pass, "config": node.pass_run_config})
        node = nodes[node.parent_model_id]
    return found[::-1]


def tried(nodes: dict[str, Any]) -> int:
    """How many models were evaluated, or else made, as candidates."""
    made = [n for n in nodes.values() if n.from_pass and "is_pruned" not in n.model_config_data]
    return len([n for n in made if n.metrics]) or len(made)
