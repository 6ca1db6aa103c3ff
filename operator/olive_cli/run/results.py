"""What a run is to do and what came of it, in words and as JSON; only the store is read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from olive_cli.job import view
from olive_cli.job.words import whole
from olive_contract.failures import FailureClass as F
from olive_contract.store import Store
from olive_operator.api.stage import Address, Stage
from olive_operator.api.status import StageStatus, State, Status

ADVICE: Final[Mapping[F, str]] = {
    F.GPU_OUT_OF_MEMORY: "lower batchSize or maxLength, or use a larger GPU",
    F.OUT_OF_MEMORY: "this machine has too little memory for it, at least beside what else runs",
    F.DISK_FULL: "make room, or name a store on a larger disk with --store",
    F.GPU_FAULT: "look at the GPU with nvidia-smi",
    F.AUTH_DENIED: "correct the token that --secret names, or your own login, and run again",
    F.SOURCE_NOT_FOUND: "correct the source in the manifest, and run again",
    F.INVALID_INPUT: "correct the manifest or what it names, and run again",
    F.INPUT_MISSING: "run again: the missing artifact is made again",
}
"""What to do about a failure on one machine; the operator's own advice is about a cluster."""


def planned(
    stages: Sequence[Stage], addresses: Mapping[str, Address | None], store: Store, gpus: int
) -> Iterator[str]:
    """A line for every stage of a dry run, in the order of the work."""
    width = max(len(s.name) for s in stages)
    for stage in stages:
        address = addresses[stage.name]
        where = f"GPU {gpus}" if stage.gpu else "CPU"
        yield f"{stage.name:{width}}  {where:6}  {_state(address, store)}"


def _state(address: Address | None, store: Store) -> str:
    if address is None:
        return "key not known yet: it follows from what is fetched"
    if not address.key:
        return "to be run: what it fetches decides the key"
    return f"{'cached' if store.find(address.key) else 'to be run'}  {address.key[:12]}"


def shown(status: Status, name: str, store: Store) -> view.Job:
    """The status as a watch shows it; the store stands in the place of the namespace."""
    meta = {"name": name, "namespace": str(store.root), "generation": 1}
    return view.job({"metadata": meta, "status": status.to_body()})


def bad(stage: StageStatus) -> bool:
    """Whether the job cannot be finished because of this stage: failed, or measured too bad."""
    return stage.state == State.FAILED or stage.missed_gate


def outcome(status: Status, logs: Mapping[str, str], seconds: float) -> str:
    """The last word: what it came to, and what to do about it."""
    if not any(map(bad, status.stages)):
        cached = sum(s.cached for s in status.stages)
        done = f"done in {whole(seconds)}: {status.progress} stages, {cached} of them cached"
        return "\n".join([done, *_published(status)])
    lines = []
    for stage in filter(bad, status.stages):
        lines.append(f"{stage.name}: {stage.reason}: {stage.message}")
        if stage.state == State.FAILED:
            advice = ADVICE.get(F(stage.reason), "read its log, and run again")
            lines += [f"  what to do: {advice}", f"  its log: {logs[stage.name]}"]
    if left := [s.name for s in status.stages if s.state == State.WAITING]:
        lines.append(f"not done, as they wait for it: {', '.join(left)}")
    return "\n".join(lines)


def _published(status: Status) -> Iterator[str]:
    for stage in status.stages:
        if found := stage.published:
            page = f" ({found.url})" if found.url else ""
            yield f"{stage.name}: {found.reference}{page}"


def summary(status: Status, stages: Sequence[Stage], logs: Mapping[str, str]) -> dict[str, Any]:
    """Everything about the run for programs; seconds of a cached stage are 0."""
    return {
        "outcome": "Failed" if any(map(bad, status.stages)) else "Succeeded",
        "critical_path_s": round(critical(stages, {s.name: s.seconds for s in status.stages}), 1),
        "gpuSeconds": sum(s.gpuSeconds for s in status.stages),
        "stages": [
            {
                "name": s.name,
                "state": s.state,
                "key": s.key,
                "cached": s.cached,
                "attempts": s.attempt,
                "seconds": s.seconds,
                **({"startedAt": s.startedAt} if s.startedAt else {}),
                **({"finishedAt": s.finishedAt} if s.finishedAt else {}),
                "gpuSeconds": s.gpuSeconds,
                "metrics": s.metrics,
                **({"published": asdict(s.published)} if s.published else {}),
                **({"log": logs[s.name]} if s.name in logs else {}),
                **({"reason": s.reason, "message": s.message} if bad(s) else {}),
            }
            for s in status.stages
        ],
    }


def critical(stages: Sequence[Stage], seconds: Mapping[str, float]) -> float:
    """Seconds of the longest chain of stages: what a machine with room for all would take."""
    until: dict[str, float] = {}
    for stage in stages:
        before = [until.get(name, 0.0) for name in (*stage.inputs.values(), *stage.after)]
        until[stage.name] = seconds.get(stage.name, 0.0) + max(before, default=0.0)
    return max(until.values(), default=0.0)
