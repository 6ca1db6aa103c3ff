"""Versions as a publish stage has them, small, with documents of a line each."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from lineage import publication

from olive_stage.publish.origin import origin_of
from olive_stage.publish.version import Version, with_documents

WEIGHTS = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(12_000))
FILES = {"model.onnx": b"graph" * 100, "model.onnx.data": WEIGHTS, "genai_config.json": b"{}"}


def version(
    root: Path, *adapters: str, card: str = "# a model\n", files: Mapping[str, bytes] = FILES
) -> Version:
    """The base with these adapters; ``root`` is made, and is to be another for each."""
    root.mkdir()
    work = publication(root, adapters, base_files=files)
    (work.out / "README.md").write_text(card)
    (work.out / "materials.json").write_text("{}")
    return with_documents(work, origin_of(work))


def contents(version: Version) -> dict[str, bytes]:
    """The version's files by path."""
    return {entry.path: entry.file.read_bytes() for entry in version.files}
