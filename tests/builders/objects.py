"""The API server's objects in memory, and the operator's cache, which its watches bring them to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from olive_operator.watch.cache import Cache, JobKey, ObjectKey, Record

NAMESPACE: Final = "ml"
KINDS: Final = (
    "OptimizationJob",
    "Job",
    "Pod",
    "Artifact",
    "PersistentVolumeClaim",
    "ConfigMap",
    "Service",
    "Deployment",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "NetworkPolicy",
    "HTTPRoute",
)
"""What has a watch of its own."""
OF_SERVINGS: Final = ("ConfigMap", *KINDS[KINDS.index("Service") :])


@dataclass(frozen=True)
class Thing:
    """An object. ``owner`` is the uid of what it goes with; ``manifest`` what it was made from."""

    record: Any
    version: int
    uid: str
    owner: str = ""
    manifest: Any = None


class Objects:
    """``behind``: what the watch of a kind has still to bring, where it brings nothing for now.

    ``poked``: jobs that the cache says to look at.
    """

    def __init__(self) -> None:
        self.real: dict[str, dict[str, Thing]] = {kind: {} for kind in KINDS}
        self.cache = Cache()
        self.behind: dict[str, list[Callable[[], Iterable[JobKey]]]] = {}
        self.poked: dict[str, None] = {}
        self._count = 0

    def unique(self, what: str) -> str:
        """A text that comes only once."""
        self._count += 1
        return f"{what}-{self._count}"

    def put(self, kind: str, name: str, record: Record, *, by: str = "", **new: Any) -> Thing:
        """The object is made or changed; ``by``: in a pass over this job, which needs no poke."""
        new = {"uid": self.unique(kind), **new}
        self._count += 1
        key, version = _key(name), self._count
        if old := self.real[kind].get(name):
            manifest = new.get("manifest", old.manifest)
            thing = replace(old, record=record, version=version, manifest=manifest)
        else:
            thing = Thing(record, version, **new)
        self.real[kind][name], uid = thing, thing.uid
        if by:
            take = self.cache.put if kind == "OptimizationJob" else self.cache.made
            self.poke(take(kind, key, version, uid, record) - {_key(by)})
        self._bring(kind, lambda: self.cache.put(kind, key, version, uid, record))
        return thing

    def drop(self, kind: str, name: str) -> None:
        """The object is gone."""
        if self.real[kind].pop(name, None):
            self._count += 1
            version = self._count
            self._bring(kind, lambda: self.cache.drop(kind, _key(name), version))

    def owned(self, kind: str, uid: str) -> list[str]:
        """The names of what goes with an object."""
        return [name for name, thing in self.real[kind].items() if thing.owner == uid]

    def is_there(self, kind: str, name: str, uid: str) -> bool:
        """Whether it is this very object and not another of its name."""
        found = self.real[kind].get(name)
        return found is not None and found.uid == uid

    def fall_behind(self, kind: str) -> None:
        """The watch of this kind brings nothing until it catches up."""
        self.behind.setdefault(kind, [])

    def catch_up(self, kind: str) -> None:
        """The watch brings all that it has not brought yet."""
        for brings in self.behind.pop(kind, []):
            self.poke(brings())
        self.cache.seen(kind, "", self._count)

    def list_anew(self) -> None:
        """The operator begins with an empty cache and lists everything."""
        self.behind.clear()
        self.poked.clear()
        self.cache = Cache()
        for kind, things in self.real.items():
            for name, t in things.items():
                self.poke(self.cache.put(kind, _key(name), t.version, t.uid, t.record))
            self.cache.seen(kind, "", self._count)

    def poke(self, jobs: Iterable[JobKey]) -> None:
        self.poked.update(dict.fromkeys(sorted(name for _, name in jobs)))

    def _bring(self, kind: str, what: Callable[[], Iterable[JobKey]]) -> None:
        if kind in self.behind:
            self.behind[kind].append(what)
        else:
            self.poke(what())
            self.cache.seen(kind, "", self._count)


def _key(name: str) -> ObjectKey:
    return NAMESPACE, name
