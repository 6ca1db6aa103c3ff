"""What is written for people, held against files; UPDATE_GOLDEN=1 writes them anew."""

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def hold(name: str, text: str) -> None:
    """Fail unless the file of this name has just this text."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text + "\n")
    assert path.read_text() == text + "\n"
