"""What a safetensors file holds, by its header alone: names, types and shapes.

The library checks the header against itself and against the file's length (offsets that overlap,
leave holes or lie outside, shapes that do not fit them, types that are none); no tensor is read.
"""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from olive_stage.words import plain, readable
from olive_stage.work import invalid

HEADER_LIMIT = 16 << 20
"""Bytes; 100 000 tensors take about 12 MB."""


@dataclass(frozen=True)
class Tensor:
    """Its type as safetensors writes it (``BF16``, ``I32``…) and its shape."""

    dtype: str
    shape: tuple[int, ...]


def read_header(path: Path, place: str) -> dict[str, Tensor]:
    """The tensors of this file of ``place`` by name; InvalidInput if the file is not whole."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
    if HEADER_LIMIT < length <= path.stat().st_size:
        raise invalid(
            f"{path.name} of {place} has a header of {readable(length)}; at most "
            f"{readable(HEADER_LIMIT)} are read"
        )
    try:
        with safe_open(path, framework="np") as file:
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {
                name: Tensor(part.get_dtype(), tuple(part.get_shape()))
                for name, part in found.items()
            }
    except SafetensorError as error:
        raise invalid(
            f"{path.name} of {place} is no whole safetensors file: {plain(error, 200)}"
        ) from error
