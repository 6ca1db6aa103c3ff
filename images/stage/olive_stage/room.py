"""Room on the volume, asked for before a byte is read."""

import shutil
from collections.abc import Callable
from pathlib import Path

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.words import readable

SPARE = 1.05
"""A file system keeps something for itself."""

Need = Callable[[int], None]
"""Is told about how many bytes a stage will write."""


def make_room(folder: Path, need: Need, size: int, there: int = 0) -> None:
    """DiskFull unless ``size`` bytes fit on the file system of ``folder``.

    ``there`` bytes of them are on it already. What a quota leaves is not known before it is met.
    """
    need(size)
    free = shutil.disk_usage(folder).free
    if free < (size - there) * SPARE:
        raise StageFailure(
            FailureClass.DISK_FULL,
            f"the claim has {readable(free)} free; this stage needs about "
            f"{readable(size - there)}, and has read nothing",
        )
