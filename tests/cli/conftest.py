"""``kubectl olive`` as a person has it."""

from pathlib import Path

import pytest

from .api import NOW, Olive, olive_at
from .kubectl import Kubectl


@pytest.fixture
def olive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Olive:
    return olive_at(NOW, tmp_path, capsys, monkeypatch, {})


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    return Kubectl(tmp_path, monkeypatch)
