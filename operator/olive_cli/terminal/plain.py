"""Texts of others (messages, logs, answers), with nothing in them that a terminal obeys: pure."""

from typing import Final

_KEPT: Final = "\n\t"
_CARET: Final = {code: f"^{chr(code ^ 64)}" for code in (*range(32), 127) if chr(code) not in _KEPT}
_HEX: Final = {code: f"\\x{code:x}" for code in range(128, 160)}
_SHOWN: Final = {**_CARET, **_HEX}


def plain(text: str) -> str:
    """The text with its control characters shown, as kubectl shows them: ``^[`` for escape."""
    return text.translate(_SHOWN)


def one_line(text: str) -> str:
    """The same, and line breaks are blanks."""
    return plain(" ".join(text.split()))
