"""JSON files from elsewhere: bounded, and an object, or InvalidInput in words."""

import json
from pathlib import Path
from typing import Any

from olive_stage.words import plain, readable
from olive_stage.work import invalid

LIMIT = 8 << 20
"""Bytes; read into memory, JSON takes up to twenty times as much."""


def read_json(path: Path, place: str, limit: int = LIMIT) -> dict[str, Any]:
    """The object in this file of ``place``; InvalidInput if it holds none."""
    size = path.stat().st_size
    if size > limit:
        raise invalid(
            f"{path.name} of {place} has {readable(size)}; at most {readable(limit)} are read"
        )
    try:
        body = json.loads(path.read_bytes())
    except RecursionError as error:
        raise invalid(f"{path.name} of {place} is nested too deeply") from error
    except ValueError as error:
        raise invalid(f"{path.name} of {place} is not JSON: {plain(error, 200)}") from error
    if not isinstance(body, dict):
        raise invalid(f"{path.name} of {place} is not a JSON object")
    return body
