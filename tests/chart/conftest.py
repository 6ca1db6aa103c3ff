"""Fixtures of the chart's tests."""

import pytest

from .helm import Helm, find


@pytest.fixture(scope="session")
def helm() -> Helm:
    """The real helm."""
    return Helm(find())
