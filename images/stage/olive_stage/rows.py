"""Data sets: JSON Lines whose rows have the columns that a template names, and their split."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from olive_contract.failures import StageFailure
from olive_contract.keys import canonical
from olive_stage.template import Template
from olive_stage.words import SHOWN, plain, readable
from olive_stage.work import invalid

DATA_FILE = "data.jsonl"
FILE_LIMIT = 1 << 30
LINE_LIMIT = 1 << 22
ROW_LIMIT = 10_000_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Row = dict[str, Any]


def read_rows(folder: Path, template: Template) -> list[Row]:
    """The rows of a data artifact, each with every column that the template names."""
    with (folder / DATA_FILE).open("rb") as stream:
        return check_rows(stream, template)


def check_rows(lines: Iterable[bytes], template: Template | None) -> list[Row]:
    """The rows of these lines, blank ones left out; InvalidInput names the first wrong line."""
    rows = [row for row, _ in each_row(lines, template)]
    if not rows:
        raise invalid("the data set has no rows; it must hold one JSON object a line")
    return rows


def each_row(lines: Iterable[bytes], template: Template | None) -> Iterator[tuple[Row, bytes]]:
    """Every row, and its line without what is around it."""
    count = 0
    for number, line in enumerate(lines, start=1):
        if len(line) > LINE_LIMIT:
            raise invalid(
                f"line {number} has more than {readable(LINE_LIMIT)}; every row is a line, and "
                "ends with a line feed"
            )
        text = line.removeprefix(BYTE_ORDER_MARK if number == 1 else b"").strip()
        if not text:
            continue
        count += 1
        if count > ROW_LIMIT:
            raise invalid(f"the data set has more than {ROW_LIMIT} rows")
        yield _row(number, text, template), text


def keep_rows(path: Path, to: Path, template: Template | None) -> int:
    """Write the rows of the file at ``path`` as lines to ``to``; how many. Reads line by line."""
    count = 0
    with path.open("rb") as stream, to.open("wb") as out:
        lines = iter(lambda: stream.readline(LINE_LIMIT + 2), b"")
        for _, text in each_row(lines, template):
            out.write(text + b"\n")
            count += 1
    if not count:
        raise invalid("the data set has no rows; it must hold one JSON object a line")
    return count


def too_large(place: str, size: int) -> StageFailure:
    """The failure of a data set of more than FILE_LIMIT."""
    return invalid(f"{place} has {readable(size)}; a data set has at most {readable(FILE_LIMIT)}")


def _row(number: int, line: bytes, template: Template | None) -> Row:
    try:
        row = json.loads(
            line.decode(),
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_constant=_finite,
        )
        if b"\\u" in line:
            canonical(row).encode()
    except UnicodeEncodeError as error:
        raise invalid(
            f"line {number} holds half of a surrogate pair, which is no character"
        ) from error
    except UnicodeDecodeError as error:
        raise invalid(
            f"line {number} is not UTF-8: {error.reason} at byte {error.start}"
        ) from error
    except json.JSONDecodeError as error:
        raise invalid(
            f"line {number} is not JSON: {error.msg} at character {error.colno}"
        ) from error
    except RecursionError as error:
        raise invalid(f"line {number} is nested too deeply") from error
    except ValueError as error:
        raise invalid(f"line {number} cannot be used: {plain(error)}") from error
    if not isinstance(row, dict):
        raise invalid(f"line {number} is not a JSON object but {_kind(row)}")
    for column in template.columns if template else ():
        if column not in row:
            shown = ", ".join(plain(repr(name)) for name in list(row)[:SHOWN])
            raise invalid(
                f"line {number} has no column {column!r}, which the template names; "
                f"its columns are {shown or 'none'}"
            )
        if not isinstance(row[column], str | int | float):
            raise invalid(
                f"line {number} has {_kind(row[column])} in column {column!r}; "
                "the template needs a text or a number there"
            )
    return row


def _object(pairs: list[tuple[str, Any]]) -> Row:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has {twice!r} twice")
    return found


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is no number that JSON has")
    return value


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
