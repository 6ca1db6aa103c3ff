"""A volume that is played: what is on it, who works with it, and what was taken from whom.

An artifact is the text of which its key is the hash, so that every one can be verified.
"""

import json
import threading
from collections import Counter

from olive_contract.failures import FailureClass
from olive_contract.keys import artifact_key
from olive_contract.stage import Report, StageInput

Place = tuple[str, str]
"""A claim and a key."""


class Volume:
    """``there``: what it holds. ``lost``: what the monkey has taken or damaged, until it is made
    again. ``forgotten``: of which it has deleted the record, at one time. ``swept``: what sweeps
    have removed, in their order. ``upsets``: how often there was a reason to make an artifact
    again. ``wrong``: what should not have happened.
    """

    def __init__(self) -> None:
        self.there: dict[Place, str] = {}
        self.lost: set[Place] = set()
        self.forgotten: set[Place] = set()
        self.swept: list[Place] = []
        self.upsets: Counter[Place] = Counter()
        self.wrong: list[str] = []
        self.made_again = 0
        self.full = False
        self.harm = ""
        """What becomes of the next artifact that is read: it is lost, or damaged."""
        self._makers: dict[str, Place] = {}
        self._readers: dict[str, set[Place]] = {}
        self._lock = threading.Lock()

    def verifies(self, place: Place) -> bool:
        """The artifact is there, and is what its key says."""
        found = self.there.get(place)
        return found is not None and artifact_key(**json.loads(found)) == place[1]

    def begin(self, pod: str, makes: Place, reads: set[Place]) -> None:
        """The pod is at work from now on."""
        with self._lock:
            self._makers[pod], self._readers[pod] = makes, reads

    def end(self, pod: str) -> None:
        """It does no more."""
        with self._lock:
            del self._makers[pod], self._readers[pod]

    def makers(self, place: Place) -> list[str]:
        """The pods that are about to write it, by its address."""
        with self._lock:
            return sorted(pod for pod, makes in self._makers.items() if makes == place)

    def users(self, place: Place) -> list[str]:
        """The pods that write or read it."""
        with self._lock:
            readers = [pod for pod, reads in self._readers.items() if place in reads]
        return sorted({*readers, *self.makers(place)})

    def made(self, pod: str, given: StageInput, claim: str) -> Report:
        """The stage comes to its end now."""
        kind, params, inputs = given.kind, given.params, given.inputs
        if kind == "fetch":
            params = {"what": "x", "content": str(params["source"])}
        key = given.key or artifact_key(kind, params, inputs)
        text = json.dumps({"kind": kind, "params": params, "inputs": inputs})
        with self._lock:
            self._harm(claim, list(inputs.values()))
            if absent := [k for k in inputs.values() if not self.verifies((claim, k))]:
                return self._missing(pod, (claim, absent[0]))
            if cached := self.verifies((claim, key)):
                return _done(key, cached)
            if self.full:
                return Report("Failed", reason=FailureClass.DISK_FULL, message="it is full")
            self.there[claim, key] = text
            self.made_again += (claim, key) in self.lost
            self.lost.discard((claim, key))
        return _done(key, cached)

    def remove(self, place: Place) -> None:
        """A sweep removes it."""
        with self._lock:
            self.there.pop(place, None)
            self.lost.discard(place)
            self.swept.append(place)
            self.upsets[place] += 1

    def forget(self, place: Place) -> None:
        """The record of it is deleted; whoever needs the artifact will look for it."""
        self.forgotten.add(place)
        self.upsets[place] += 1

    def _harm(self, claim: str, keys: list[str]) -> None:
        found = [(claim, key) for key in keys if (claim, key) in self.there]
        if not self.harm or not found:
            return
        if self.harm == "lost":
            del self.there[found[0]]
        else:
            self.there[found[0]] = json.dumps({"kind": "fetch", "params": {}, "inputs": {}})
        self.lost.add(found[0])
        self.harm = ""

    def _missing(self, pod: str, place: Place) -> Report:
        if place not in self.lost:
            self.wrong.append(f"{pod} misses {place[1][:8]}, which the monkey has not touched")
        self.upsets[place] += 1
        reason = FailureClass.INPUT_MISSING
        return Report("Failed", reason=reason, message="it is not there", missing=place[1])


def _done(key: str, cached: bool) -> Report:
    return Report("Succeeded", key=key, cached=cached, seconds=1.0, sizeBytes=7)
