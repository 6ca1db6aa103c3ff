"""Data sets: JSON Lines whose rows have the columns that a template names, and their split."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from olive_contract.keys import canonical
from olive_stage.template import Template
from olive_stage.work import invalid

DATA_FILE = "data.jsonl"

Row = dict[str, Any]


def read_rows(folder: Path, template: Template) -> list[Row]:
    """The rows of a data artifact, each with every column that the template names."""
    return check_rows((folder / DATA_FILE).read_bytes().split(b"\n"), template)


def check_rows(lines: Iterable[bytes], template: Template | None) -> list[Row]:
    """The rows of these lines, blank ones left out; InvalidInput names the first wrong line."""
    rows = [
        _row(number, line, template) for number, line in enumerate(lines, start=1) if line.strip()
    ]
    if not rows:
        raise invalid("the data set has no rows; it must hold one JSON object a line")
    return rows


def _row(number: int, line: bytes, template: Template | None) -> Row:
    try:
        row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        raise invalid(
            f"line {number} is not UTF-8: {error.reason} at byte {error.start}"
        ) from error
    except json.JSONDecodeError as error:
        raise invalid(
            f"line {number} is not JSON: {error.msg} at character {error.colno}"
        ) from error
    if not isinstance(row, dict):
        raise invalid(f"line {number} is not a JSON object but {_kind(row)}")
    for column in template.columns if template else ():
        if column not in row:
            raise invalid(
                f"line {number} has no column {column!r}, which the template names; "
                f"its columns are {', '.join(map(repr, row)) or 'none'}"
            )
        if not isinstance(row[column], str | int | float):
            raise invalid(
                f"line {number} has {_kind(row[column])} in column {column!r}; "
                "the template needs a text or a number there"
            )
    return row


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), "a number")


def split(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """The rows to train on and those held out: ``share`` of them, at least one if it is not 0.

    A pure function of its arguments. Rows are ranked by a hash of seed and content, so that adding
    a row moves few others, and equal rows fall on the same side.
    """
    if not share:
        return list(rows), []
    rank = [hashlib.sha256(f"{seed}:{canonical(row)}".encode()).digest() for row in rows]
    count = max(1, round(len(rows) * share))
    limit = sorted(rank)[count - 1]
    held = [row for row, place in zip(rows, rank, strict=True) if place <= limit]
    kept = [row for row, place in zip(rows, rank, strict=True) if place > limit]
    if not kept:
        raise invalid(
            f"evalSplit {share} of {len(rows)} rows leaves none to train on; "
            "give more rows or a smaller evalSplit"
        )
    return kept, held
