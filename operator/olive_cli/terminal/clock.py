"""What time it is; in one place, so that a screen can be drawn as of any instant."""

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)
