"""``kubectl olive logs``: the log of a stage's pod, the running attempt's or the last one's."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from olive_cli.cluster.apiserver import PODS
from olive_cli.errors import AbsentError, CliError
from olive_cli.job.view import Body, Job, Stage, job
from olive_cli.terminal.plain import plain
from olive_contract.stage import Progress
from olive_operator import labels, names

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster


def logs(cluster: "Cluster", name: str, stage: str, follow: bool) -> Iterator[str]:
    """The lines of the log; ``follow``: until the pod ends."""
    found = job(cluster.found(name))
    wanted = stage_of(found, stage)
    pod = _pod(cluster, found, wanted)
    if not pod:
        raise AbsentError(_nothing(wanted))
    try:
        for line in cluster.server.log(cluster.namespace, pod, follow):
            yield told(line)
    except AbsentError:
        raise AbsentError(_gone(wanted, pod)) from None
    except CliError as error:
        if wanted.state == "Pending" and "is waiting to start" in str(error):
            why = f"kubectl olive why {name} -n {cluster.namespace}"
            raise CliError(f"pod {pod} has not begun ({wanted.reason}): {why}") from None
        raise


def stage_of(found: Job, name: str) -> Stage:
    """The stage of that name; AbsentError with those that there are."""
    known = {stage.name: stage for stage in found.stages}
    if name in known:
        return known[name]
    near = get_close_matches(name, known)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = f"there are {', '.join(known)}" if known else "it has none yet"
    raise AbsentError(f"{found.name} has no stage {name!r}; {hint}")


def told(line: str) -> str:
    """A line of the log; what is written for the operator is told in words."""
    progress = Progress.from_line(line)
    if progress is None:
        # A progress bar writes over itself: here each of its states has a line.
        return plain(line.rstrip("\r").replace("\r", "\n"))
    parts = [f"{progress.percent:3}%"]
    if progress.remainingSeconds is not None:
        parts.append(f"{progress.remainingSeconds} s left")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    return "  ".join([*parts, *([plain(progress.message)] if progress.message else [])])


def _pod(cluster: "Cluster", found: Job, stage: Stage) -> str:
    """The pod that the status names, or the newest of the attempt that it counts."""
    if stage.pod or not stage.attempt:
        return stage.pod
    claim = found.claim or names.DEFAULT_CLAIM
    attempt = names.attempt(found.name, found.uid, stage.name, stage.address, claim, stage.attempt)
    selector = f"{labels.JOB}={found.name},batch.kubernetes.io/job-name={attempt}"
    pods = cluster.server.list(PODS, cluster.namespace, labelSelector=selector)
    return str(max(pods, key=_created)["metadata"]["name"]) if pods else ""


def _created(pod: Body) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _nothing(stage: Stage) -> str:
    """Why there is no pod at all."""
    if stage.cached:
        return f"{stage.name} had nothing to run: its artifact was in the store already"
    if not stage.attempt:
        return f"{stage.name} has not been tried yet ({stage.message or stage.state})"
    return _last(stage, f"attempt {stage.attempt} of {stage.name} has no pod (any more)")


def _gone(stage: Stage, pod: str) -> str:
    return _last(stage, f"pod {pod} is gone, and its log with it")


def _last(stage: Stage, what: str) -> str:
    return f"{what}; the last failure: {stage.failure}" if stage.failure else what
