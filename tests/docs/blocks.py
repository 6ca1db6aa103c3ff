"""What a page tells its reader to do: its fenced blocks, in order.

``console``: commands behind ``$ `` (a line that goes on behind ``> ``) and what they print.
``bash``: a script; what it prints is not shown. ``yaml title="NAME"``: a file to be saved.
A comment ``<!-- exit: N -->`` right before a block says with what its last command ends.
"""

import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass

LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_BLOCK = re.compile(
    r"(?:^[ ]*<!-- exit: (?P<exit>\d+) -->\n)?"
    r'^(?P<indent>[ ]*)```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^(?P=indent)```$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Command:
    """Something typed; ``expected``: what is shown of its output, None if nothing is said of it."""

    text: str
    expected: str | None = None
    code: int = 0

    def difference(self, output: str) -> str:
        """What the page has otherwise; empty if it agrees. ``...`` stands for any text."""
        if self.expected is None:
            return ""
        checker, want = doctest.OutputChecker(), self.expected + "\n"
        if checker.check_output(want, output.rstrip() + "\n", LENIENT):
            return ""
        return f"the page says:\n{self.expected}\n\nit printed:\n{output}"


@dataclass(frozen=True)
class Saved:
    """A file that the reader saves."""

    name: str
    text: str


Step = Command | Saved


def languages(page: str) -> set[str]:
    """Those of all blocks of a page; of a block that is a file to be saved, "a file"."""
    return {"a file" if found["title"] else found["language"] for found in _BLOCK.finditer(page)}


def steps(page: str) -> list[Step]:
    """Everything that a reader does, in order."""
    return [step for found in _BLOCK.finditer(page) for step in _steps(found)]


def _steps(found: re.Match[str]) -> Iterator[Step]:
    text, code = _outdented(found["text"], found["indent"]), int(found["exit"] or 0)
    if found["title"]:
        yield Saved(found["title"], text)
    elif found["language"] == "bash":
        yield Command(text.rstrip("\n"), code=code)
    elif found["language"] == "console":
        *before, last = _commands(text)
        yield from before
        yield Command(last.text, last.expected, code)


def _commands(text: str) -> Iterator[Command]:
    """The commands of a console; there is at least one."""
    typed: list[str] = []
    said: list[str] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            if typed:
                yield Command("\n".join(typed), "\n".join(said).strip())
            typed, said = [line[2:]], []
        elif line.startswith("> ") and typed and not said:
            typed.append(line[2:])
        elif typed:
            said.append(line)
        else:
            raise ValueError(f"a console begins with a command, not with {line!r}")
    if not typed:
        raise ValueError("a console without a command")
    yield Command("\n".join(typed), "\n".join(said).strip())


def _outdented(text: str, indent: str) -> str:
    return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
