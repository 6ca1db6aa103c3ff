"""Numbers and states in few words: pure, and the same on a terminal and in a log."""

from datetime import datetime

from olive_cli.job.view import Job, Serving, Stage

_PASSING = frozenset({"PodNotCreated", "Scheduling", "ContainerCreating", "PodInitializing"})
"""Why every pod is pending for a moment: not worth a word."""


def clock(seconds: float) -> str:
    """Minutes and seconds, hours only where there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def took(stage: Stage, now: datetime) -> float | None:
    """Seconds that the stage took, or has taken so far; None if nothing was run for it."""
    if stage.state == "Running" and stage.started:
        return max((now - stage.started).total_seconds(), 0.0)
    return stage.seconds if stage.seconds or _built(stage) else None


def whole(seconds: float) -> str:
    """Whole seconds, in words that tell a little from nothing."""
    return f"{seconds:.0f} s" if seconds >= 1 else "<1 s"


def times(count: int) -> str:
    """How often."""
    return "once" if count == 1 else f"{count} times"


def _built(stage: Stage) -> bool:
    return stage.state == "Succeeded" and not stage.cached


_DONE = {"NotNeeded": "not needed"}
"""What is said of a stage that is done without an artifact of its own."""


def note(stage: Stage) -> str:
    """What is to be said of a stage beside its state; empty if nothing is."""
    if stage.state == "Running":
        return _running(stage)
    if stage.reason in ("GateFailed", "HeldBack"):
        return f"{stage.reason}: {stage.message}"
    if stage.state == "Succeeded":
        return stage.published or _DONE.get(stage.reason, "cached" if stage.cached else "built")
    if stage.state == "Waiting" or stage.reason in _PASSING:
        return f"attempt {stage.attempt}" if stage.attempt > 1 else ""
    why = f"{stage.reason}: {stage.message}" if stage.message else stage.reason
    return f"{why}; again at {stage.again:%H:%M:%S} UTC" if stage.again else why


def _running(stage: Stage) -> str:
    if stage.reason == "NoProgress":
        return f"{stage.reason}: {stage.message}"
    parts = [f"attempt {stage.attempt}"] if stage.attempt > 1 else []
    if stage.remaining is not None:
        parts.append(f"{stage.remaining} s left")
    if stage.loss is not None:
        parts.append(f"loss {stage.loss:.2f}")
    if stage.message:
        parts.append(stage.message)
    return "  ".join(parts)


def serving(found: Serving) -> str:
    """How far the serving is."""
    words = [f"{found.ready}/{found.replicas} ready"]
    words += [name if state == "Loaded" else f"{name} ({state})" for name, state in found.adapters]
    return "  ".join(words)


def rests(found: Job) -> str:
    """What a suspended job waits for; empty of any other."""
    if found.phase != "Suspended":
        return ""
    return (
        f"{found.name} is suspended and runs nothing; "
        f"go on: kubectl olive resume {found.name} -n {found.namespace}"
    )


def outcome(found: Job) -> str:
    """The last word on a job that is at rest: what it came to, and what to do about it."""
    if found.verdict is None:
        return ""
    head = "ready" if found.verdict.ok else "stalled"
    lines = [f"{found.name} is {head}: {found.verdict.reason}: {found.verdict.message}"]
    if found.verdict.ok and found.serving:
        lines.append(f"  ask it:   kubectl olive ask {found.name} -n {found.namespace} QUESTION")
    if found.verdict.ok:
        lines += [f"  version:  {stage.published}" for stage in found.stages if stage.published]
    for stage in found.in_the_way:
        if stage.pod:
            lines.append(f"  its log:  kubectl logs -n {found.namespace} {stage.pod}")
    if not found.verdict.ok:
        lines.append(
            "  more:     kubectl describe optimizationjobs.olive-operator.io "
            f"-n {found.namespace} {found.name}"
        )
    return "\n".join(lines)
