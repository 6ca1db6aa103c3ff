"""Sizes, costs and ages as people say them: pure."""

from datetime import datetime


def size(count: float) -> str:
    """Bytes, with one digit behind the point."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def duration(seconds: float) -> str:
    """Roughly: seconds up to two minutes, minutes up to two hours."""
    return _in_units(seconds, "")


def gpu_time(seconds: float) -> str:
    """The same, of GPUs."""
    return _in_units(seconds, "GPU ")


def age(since: datetime, now: datetime) -> str:
    """As kubectl writes it: the largest unit only."""
    seconds = max(int((now - since).total_seconds()), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def count(number: int, what: str) -> str:
    """``1 stage``, ``2 stages``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _in_units(seconds: float, what: str) -> str:
    for unit, length in (("hour", 3600.0), ("minute", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {what}{unit}s"
    return f"{seconds:.0f} {what}second{'' if round(seconds) == 1 else 's'}"
