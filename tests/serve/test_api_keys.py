"""With a secret, only those with a key are answered; probes and metrics need none."""

from pathlib import Path

import openai
import pytest
from conftest import Start
from server_process import ServedJob


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "team-a").write_text("sk-first\n")
    (folder / "..data").write_text("sk-hidden")
    (folder / "empty").write_text("\n")
    return folder


@pytest.mark.parametrize("given", ["none", "sk-firs", "sk-first2", "sk-hidden", "é"])
def test_a_wrong_key_is_refused_in_openais_shape(
    job: ServedJob, start: Start, keys: Path, given: str
) -> None:
    job.serve()
    server = start("--api-keys", str(keys))
    headers = {"Authorization": f"Bearer {given}".encode()}
    answer = server.http.get("/v1/models", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_opens_the_api_and_a_new_one_holds_at_once(
    job: ServedJob, start: Start, keys: Path
) -> None:
    job.serve()
    server = start("--api-keys", str(keys))
    with pytest.raises(openai.AuthenticationError):
        server.openai.models.list()
    known = server.openai.with_options(api_key="sk-first")
    assert [model.id for model in known.models.list()] == ["base"]
    (keys / "team-a").write_text("sk-second")
    with pytest.raises(openai.AuthenticationError):
        known.models.list()
    server.openai.with_options(api_key="sk-second").models.list()
    assert server.metric("olive_serve_requests_refused_total", code="invalid_api_key") == 2
