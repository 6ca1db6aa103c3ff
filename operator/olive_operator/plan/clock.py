"""Instants as the API server writes them. The clock itself is read elsewhere."""

from datetime import UTC, datetime


def text(at: datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(at: str) -> datetime:
    """The instant that an RFC 3339 text names."""
    return datetime.fromisoformat(at)
