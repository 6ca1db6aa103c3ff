"""What is known of every object that the operator watches: records, found by what they are for.

A pure data structure: watches put in what they bring, writes what the API server has answered, and
both are told which jobs a change concerns. Resource versions are comparable integers (KEP-5504), so
whatever is late is seen to be, and nothing that is gone comes back.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, Protocol

ObjectKey = tuple[str, str]
"""Namespace and name of an object."""
JobKey = ObjectKey
"""Those of an OptimizationJob."""
Place = tuple[Hashable, ...]
"""Under which records are looked for together: the attempts of a job, the artifacts of a claim."""


class Record(Protocol):
    """What is kept of an object. Two that are equal are one to every plan."""

    @property
    def urgent(self) -> bool:
        """Whether something is to be done about it; what only informs may wait for more news."""

    def places(self, key: ObjectKey) -> Iterable[tuple[Place, str, Any]]:
        """Where it is found, under what name there, and what is found."""

    def concerns(self, key: ObjectKey) -> Iterable[JobKey]:
        """The jobs that it is a part of."""

    def told(self, key: ObjectKey) -> Iterable[str]:
        """What jobs of its namespace may wait for: addresses, keys, claims."""


@dataclass(frozen=True, slots=True)
class Known:
    """A record, and which object it is of."""

    version: int
    uid: str
    record: Any


class Cache:
    """Records by kind and name, and by place."""

    def __init__(self) -> None:
        self._known: dict[str, dict[ObjectKey, Known]] = {}
        self._places: dict[Place, dict[str, Any]] = {}
        self._come_to: dict[tuple[str, str], int] = {}
        self._waits: dict[JobKey, frozenset[str]] = {}
        self._waiting: dict[tuple[str, str], set[JobKey]] = {}

    # What is known

    def get(self, kind: str, key: ObjectKey) -> Known | None:
        """The object of this name, if there is one."""
        return self._known.get(kind, {}).get(key)

    def at(self, *place: Hashable) -> Mapping[str, Any]:
        """The records of a place, as they are now and come to be."""
        return self._places.get(place, _NOTHING)

    def keys(self, kind: str) -> Collection[ObjectKey]:
        """All objects of a kind."""
        return self._known.get(kind, {}).keys()

    # What the watches bring

    def put(self, kind: str, key: ObjectKey, version: int, uid: str, record: Record) -> set[JobKey]:
        """The object is there; the jobs that this changes something for."""
        return self._put(kind, key, Known(version, uid, record))

    def drop(self, kind: str, key: ObjectKey, version: int) -> set[JobKey]:
        """The object is gone since this version."""
        known = self.get(kind, key)
        return self._drop(kind, key) if known and known.version <= version else set()

    def keep(self, kind: str, scope: str, keys: Collection[ObjectKey], version: int) -> set[JobKey]:
        """A list was complete at a version: of what is as old as that, only these are there."""
        self.seen(kind, scope, version)
        gone = [
            key
            for key, known in self._known.get(kind, {}).items()
            if known.version <= version and key not in keys and scope in ("", key[0])
        ]
        return {job for key in gone for job in self._drop(kind, key)}

    def seen(self, kind: str, scope: str, version: int) -> None:
        """The watch of a kind (in a namespace, or in all if empty) has come this far."""
        self._come_to[kind, scope] = max(version, self.come_to(kind, scope))

    def come_to(self, kind: str, scope: str) -> int:
        """How far that watch has come."""
        return self._come_to.get((kind, scope), 0)

    # What the operator does itself

    def made(self, kind: str, key: ObjectKey, version: int, uid: str, record: Any) -> set[JobKey]:
        """A write was answered with this object; its watch has it, or will bring it later."""
        come = max(self.come_to(kind, scope) for scope in ("", key[0]))
        return self._put(kind, key, Known(version, uid, record)) if version > come else set()

    def waits(self, job: JobKey, texts: frozenset[str]) -> None:
        """The job would be planned otherwise if one of these addresses, keys or claims changed."""
        before = self._waits.get(job, frozenset())
        for text in before - texts:
            waiting = self._waiting[job[0], text]
            waiting.discard(job)
            if not waiting:
                del self._waiting[job[0], text]
        for text in texts - before:
            self._waiting.setdefault((job[0], text), set()).add(job)
        if texts:
            self._waits[job] = texts
        else:
            self._waits.pop(job, None)

    def waiting(self, namespace: str, text: str) -> Set[JobKey]:
        """The jobs that wait for an address, a key or a claim."""
        return self._waiting.get((namespace, text), frozenset())

    # How it is kept

    def _put(self, kind: str, key: ObjectKey, new: Known) -> set[JobKey]:
        table = self._known.setdefault(kind, {})
        old = table.get(key)
        if old and old.version >= new.version:
            return set()
        table[key] = new
        if old and (old.uid, old.record) == (new.uid, new.record):
            return set()
        self._leave(key, old, new)
        for place, name, value in new.record.places(key):
            self._places.setdefault(place, {})[name] = value
        return self._concerned(key, *([old.record] if old else []), new.record)

    def _drop(self, kind: str, key: ObjectKey) -> set[JobKey]:
        known = self._known[kind].pop(key)
        self._leave(key, known, None)
        return self._concerned(key, known.record)

    def _leave(self, key: ObjectKey, old: Known | None, new: Known | None) -> None:
        """Take the old record out of the places where the new one is not found."""
        stays = {place for place, _, _ in new.record.places(key)} if new else set()
        for place, name, value in old.record.places(key) if old else ():
            there = self._places.get(place, {})
            # Two may claim one place: two records of one artifact, though we make none.
            if place not in stays and there.get(name) == value:
                del there[name]
                if not there:
                    del self._places[place]

    def _concerned(self, key: ObjectKey, *records: Record) -> set[JobKey]:
        return {job for record in records for job in self._concerned_by(key, record)}

    def _concerned_by(self, key: ObjectKey, record: Record) -> Iterator[JobKey]:
        yield from record.concerns(key)
        for text in record.told(key):
            yield from self.waiting(key[0], text)


_NOTHING: Mapping[str, Any] = {}
