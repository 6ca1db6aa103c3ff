"""Where a version is from: followed back through the store's records, from stage to stage."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from olive_contract.artifact import Artifact
from olive_contract.failures import StageFailure
from olive_contract.keys import digest
from olive_contract.store import Store
from olive_stage.work import Work

BASE, ADAPTER, EVALUATION = "base", "adapter/", "evaluate/"


@dataclass(frozen=True)
class Fetched:
    """A model, adapter or data set as it was fetched: ``content`` is its commit or digest."""

    key: str
    source: str
    content: str
    license: str = ""


@dataclass(frozen=True)
class AdapterOrigin:
    """An adapter: what it was trained on, or fetched from; how, and what it measured.

    ``data`` is empty for one that was made elsewhere, ``source`` for one that was trained here.
    """

    name: str
    key: str
    rank: int
    data: Fetched | None = None
    source: Fetched | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """Everything that a version tells of itself.

    ``how``: kind and parameters of the stages that made the base from ``model``, in their order.
    ``swept``: keys that the store has no record of any more.
    """

    job: str
    gates: tuple[str, ...]
    base: str
    model: Fetched
    adapters: tuple[AdapterOrigin, ...]
    how: tuple[tuple[str, Mapping[str, Any]], ...]
    calibration: Fetched | None
    metrics: Mapping[str, float]
    libraries: Mapping[str, str]
    swept: tuple[str, ...]

    @cached_property
    def content(self) -> str:
        """A SHA-256 of what decides the files: the keys of the base and, by name, the adapters."""
        return digest({"base": self.base, "adapters": {a.name: a.key for a in self.adapters}})


def origin_of(work: Work) -> Origin:
    """The origin of the work's inputs."""
    lineage = _Lineage(work.store)
    base = work.input(BASE)
    above = list(lineage.above(base))
    model = work.input("model")
    published = {role: a for role, a in sorted(work.inputs.items()) if role.startswith(ADAPTER)}
    adapters = tuple(
        _adapter(role.removeprefix(ADAPTER), artifact, work, lineage)
        for role, artifact in published.items()
    )
    made = [base, *above, *(a for p in published.values() for a in (p, *lineage.above(p)))]
    calibration = next((a for a in above if a.kind == "fetch" and a.key != model.key), None)
    measured = work.inputs.get(f"{EVALUATION}base")
    return Origin(
        job=work.job,
        gates=work.gates,
        base=base.key,
        model=_fetched(model),
        adapters=adapters,
        how=tuple((a.kind, a.params) for a in reversed([base, *above]) if a.kind != "fetch"),
        calibration=_fetched(calibration) if calibration else None,
        metrics=measured.metrics if measured else {},
        libraries=dict(item for a in reversed(made) for item in sorted(a.versions.items())),
        swept=tuple(sorted(lineage.swept)),
    )


class _Lineage:
    """Records of the store; ``swept``: keys of those that were looked for in vain."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.swept: set[str] = set()

    def above(self, artifact: Artifact) -> Iterator[Artifact]:
        """What the artifact was made from, the nearest first."""
        for role in artifact.inputs:
            if found := self.input(artifact, role):
                yield found
                yield from self.above(found)

    def input(self, artifact: Artifact, role: str) -> Artifact | None:
        """The record of one of its inputs, if it had one of this role, and the store has it."""
        if (key := artifact.inputs.get(role)) is None:
            return None
        try:
            return self._store.record(key)
        except StageFailure:
            self.swept.add(key)
            return None


def _adapter(name: str, artifact: Artifact, work: Work, lineage: _Lineage) -> AdapterOrigin:
    made = lineage.input(artifact, "adapter")
    trained = made if made and made.kind == "finetune" else None
    data = lineage.input(trained, "data") if trained else None
    measured = work.inputs.get(f"{EVALUATION}{name}")
    return AdapterOrigin(
        name=name,
        key=artifact.key,
        rank=int(artifact.metrics.get("rank", 0)),
        data=_fetched(data) if data else None,
        source=_fetched(made) if made and not trained else None,
        training=trained.params.get("lora", {}) if trained else {},
        metrics=measured.metrics if measured else {},
    )


def _fetched(artifact: Artifact) -> Fetched:
    return Fetched(
        key=artifact.key,
        source=str(artifact.about.get("source", "")),
        content=str(artifact.params.get("content", "")),
        license=str(artifact.about.get("license", "")),
    )
