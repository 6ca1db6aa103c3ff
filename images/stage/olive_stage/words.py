"""Texts from elsewhere as messages may hold them: names, numbers of bytes, whatever a file says."""

from collections.abc import Collection

NAME_LENGTH = 80
SHOWN = 8


def plain(text: object, limit: int = NAME_LENGTH) -> str:
    """The text on one line, without what cannot be printed or encoded, and not endless."""
    said = str(text).encode("utf-8", "backslashreplace").decode()
    said = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in said[: limit + 1])
    return said if len(said) <= limit else said[:limit] + "…"


def printable(message: str) -> str:
    """The message, lines kept, as every log and report can hold it: a name may be no text."""
    return message.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def some(names: Collection[str], none: str = "nothing") -> str:
    """The first few of these names, in order."""
    return ", ".join(plain(name) for name in sorted(names)[:SHOWN]) or none


def readable(size: float) -> str:
    """Bytes for people, in binary units: ``2.1 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
