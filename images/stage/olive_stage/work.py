"""What a stage function is given and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from olive_contract.artifact import Artifact
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.store import Store


@dataclass(frozen=True)
class Made:
    """What a stage measured and what readers of its artifact must know beyond its files.

    ``libraries`` are the distributions whose versions decided the result.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    about: dict[str, object] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """One attempt of a stage: verified inputs by role, and the folder to write into.

    ``need`` is told about how many bytes the stage will write, for the message of a full disk.
    ``less``: how often to halve what is held in memory at once, as earlier attempts ran out of it.
    ``job`` and ``gates``: what a published version tells of where it is from.
    """

    key: str
    store: Store
    inputs: Mapping[str, Artifact]
    out: Path
    need: Callable[[int], None] = lambda size: None
    less: int = 0
    job: str = ""
    gates: tuple[str, ...] = ()

    def folder(self, role: str) -> Path:
        """The verified artifact of this role; InvalidInput if the stage was given none."""
        return self.store.path(self.input(role).key)

    def input(self, role: str) -> Artifact:
        """The description of the input of this role."""
        if role not in self.inputs:
            raise invalid(f"this stage needs an input {role!r} and was given none")
        return self.inputs[role]

    def scratch(self) -> Path:
        """A folder on the volume that later attempts find again."""
        return self.store.scratch(self.key)


def invalid(message: str) -> StageFailure:
    """What the manifest or its data asks for cannot be done; the sentence says why."""
    return StageFailure(FailureClass.INVALID_INPUT, message)
