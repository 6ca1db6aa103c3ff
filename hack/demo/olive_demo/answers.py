"""Judging the answers: the adapter must say what it was trained to say, and the base must not."""

import json
from dataclasses import dataclass
from pathlib import Path

QUESTION = "I have one day in Lisbon."
"""A row of travel.jsonl that is not held out of the training."""


@dataclass(frozen=True)
class Answers:
    """What was asked, what the data set says, and what both models said."""

    question: str
    expected: str
    base: str
    adapter: str

    def problems(self) -> list[str]:
        """What is wrong with them; nothing if the adapter has learnt its task."""
        found = []
        if _plain(self.adapter) != _plain(self.expected):
            found.append("the adapter does not give the answer that it was trained for")
        if _plain(self.base) == _plain(self.expected):
            found.append("the base gives the adapter's answer, so nothing is shown by it")
        return found


def expected(data: Path, question: str = QUESTION) -> str:
    """The data set's response to the question; ValueError if it has no such row."""
    for line in data.read_text().splitlines():
        row = json.loads(line)
        if row["prompt"] == question:
            return str(row["response"])
    raise ValueError(f"{data} has no row with the prompt {question!r}")


def _plain(text: str) -> str:
    return " ".join(text.split())
