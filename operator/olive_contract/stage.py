"""What a stage's pod is given and what it says: input, progress lines and the final report."""

import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

from olive_contract.failures import FailureClass
from olive_contract.serial import decode, encode

REPORT_LIMIT: Final = 4096
"""Bytes of a termination message that the kubelet keeps."""

REPORT_PATH: Final = "/dev/termination-log"


@dataclass(frozen=True)
class StageInput:
    """Everything one attempt needs to know. It is the pod's only argument, as JSON.

    ``name`` is the stage's name in the graph (``finetune/travel``); ``key`` the artifact to make,
    empty for fetch stages, whose key is found from the content; ``inputs`` role → artifact key;
    ``less``: how often to halve what is held in memory at once, without changing the result.
    ``job`` (``namespace/name``, or the name alone where there is no cluster) and ``gates`` are what
    a published version tells of where it is from; they are part of no key.
    """

    name: str
    kind: str
    params: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    key: str = ""
    store: str = "/store"
    less: int = 0
    job: str = ""
    gates: tuple[str, ...] = ()

    def to_json(self) -> str:
        return json.dumps(encode(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> "StageInput":
        """ValueError names the field that is wrong or missing."""
        return decode(StageInput, json.loads(text))


@dataclass(frozen=True)
class Published:
    """Where a published version is: ``reference`` as a job's source or a pod's image names it, and
    ``url`` a page for people, if there is one."""

    reference: str
    url: str = ""


@dataclass(frozen=True)
class Report:
    """The attempt's last word, written to the termination message.

    ``seconds`` of work; ``cached``: the artifact was there already; ``missing``: see StageFailure.
    ``metrics`` are numbers only (loss, perplexity, tokensPerSecond…).
    """

    outcome: Literal["Succeeded", "Failed"]
    key: str = ""
    cached: bool = False
    reason: FailureClass | None = None
    message: str = ""
    missing: str = ""
    seconds: float = 0.0
    sizeBytes: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    published: Published | None = None

    def to_json(self) -> str:
        """One JSON text of at most REPORT_LIMIT bytes; a long message loses its middle."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        over = len(text.encode()) - REPORT_LIMIT
        if over <= 0:
            return text
        keep = max(len(self.message) - over - 64, 0) // 2
        if keep == 0:
            return replace(self, message=self.message[:200], metrics={}).to_json()
        cut = self.message[:keep] + " … " + self.message[-keep:]
        return replace(self, message=cut).to_json()

    @staticmethod
    def from_json(text: str) -> "Report":
        """ValueError if this is no report (a log's tail, for example)."""
        body = json.loads(text)
        if not isinstance(body, dict):
            raise ValueError("a report is an object")
        found = decode(Report, body)
        # No number that JSON cannot write may come this far: the status could not be written.
        finite = {k: v for k, v in found.metrics.items() if math.isfinite(v)}
        return replace(found, metrics=finite)


@dataclass(frozen=True)
class Progress:
    """How far a running stage is. Printed as one line of standard output: ``{"progress": {…}}``."""

    percent: int
    remainingSeconds: int | None = None
    loss: float | None = None
    message: str = ""

    def to_line(self) -> str:
        body = {k: v for k, v in asdict(self).items() if v not in (None, "")}
        return json.dumps({"progress": body}, sort_keys=True)

    @staticmethod
    def from_line(line: str) -> "Progress | None":
        """The progress that a line of a stage's log tells, or None for any other line."""
        if not line.startswith('{"progress"'):
            return None
        try:
            found = decode(Progress, json.loads(line)["progress"])
        except (ValueError, KeyError):
            return None
        if found.loss is not None and not math.isfinite(found.loss):
            return replace(found, loss=None)
        return found
