"""What belongs to a model beside weights and config: tokenizer, templates, its own code, licence.

Copied as they are: a library that reads and writes them changes them.
"""

import shutil
from pathlib import Path

from olive_contract.artifact import ARTIFACT_FILE
from olive_stage.model_folder import CONFIG, INDEX

OTHERS = (CONFIG, INDEX, ARTIFACT_FILE)


def copy_companions(source: Path, out: Path) -> list[Path]:
    """The copies in ``out`` of the files of ``source`` that it does not have yet."""
    copied = []
    for path in source.iterdir():
        target = out / path.name
        wanted = path.suffix != ".safetensors" and path.name not in OTHERS
        if wanted and path.is_file() and not target.exists():
            copied.append(shutil.copyfile(path, target))
    return copied
