"""Durations as people write them: ``30s``, ``5m``, ``1h30m``, ``7d``."""

import re
from datetime import timedelta
from typing import Final, TypeAlias

Duration: TypeAlias = str
"""Whole days, hours, minutes and seconds, in this order; the CRD lets nothing else through."""

_FORM: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def parsed(text: Duration) -> timedelta:
    """What the text says. ValueError if it is no duration."""
    found = _FORM.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"{text!r} is no duration; write 30s, 5m, 1h30m or 7d")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def spoken(span: timedelta) -> str:
    """The duration as people write it, in its two largest units: ``1h30m``."""
    left, parts = int(span.total_seconds()), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts[:2]) or "0s"
