"""Sources: what their texts mean, and which are refused."""

import pytest

from olive_contract.failures import StageFailure
from olive_stage.source import Bucket, Claim, Hub, Source, Web, parse


@pytest.mark.parametrize(
    ("text", "what", "source"),
    [
        ("hf://owner/name", "model", Hub("owner/name", "main", "", False)),
        ("hf://owner/name@v1.0", "adapter", Hub("owner/name", "v1.0", "", False)),
        (
            "hf://microsoft/Phi-3.5-mini@main",
            "model",
            Hub("microsoft/Phi-3.5-mini", "main", "", False),
        ),
        (
            "hf://datasets/owner/name@main/a/b.jsonl",
            "data",
            Hub("owner/name", "main", "a/b.jsonl", True),
        ),
        ("pvc://data/models/phi/", "model", Claim("data", "models/phi")),
        ("pvc://data", "model", Claim("data", "")),
        ("s3://bucket/models/phi/", "model", Bucket("s3", "bucket", "models/phi")),
        ("az://container/a.jsonl", "data", Bucket("az", "container", "a.jsonl")),
        ("https://host/a.jsonl?sig=1", "data", Web("https://host/a.jsonl?sig=1")),
    ],
)
def test_source(text: str, what: str, source: Source) -> None:
    assert parse(text, what) == source


@pytest.mark.parametrize(
    ("text", "what", "says"),
    [
        pytest.param("http://host/a.jsonl", "data", "is no source for data", id="plain http"),
        pytest.param(
            "https://host/model", "model", "is no source for a model", id="a model by https"
        ),
        pytest.param("gs://bucket/x", "model", "write hf://owner/name", id="an unknown scheme"),
        pytest.param("hf://name", "model", "is no source for a model", id="a repository of nobody"),
        pytest.param(
            "hf://datasets/o/n", "data", "write hf://datasets/owner", id="data without a file"
        ),
        pytest.param(
            "hf://o/n/file.bin", "model", "write hf://owner/name", id="a model with a file"
        ),
        pytest.param("file:///etc/passwd", "data", "is no source for data", id="a local file"),
        pytest.param("pvc://UPPER/x", "data", "is no source for data", id="no claim's name"),
        pytest.param("s3://bucket", "model", "is no source for a model", id="a whole bucket"),
        pytest.param("s3://bucket/a/../b", "model", "is no source", id="a climbing key"),
        pytest.param("hf://datasets/o/n/../x", "data", "is no source", id="a climbing file"),
        pytest.param("https://[x/a", "data", "is no source for data", id="no host's name"),
        pytest.param("https://h/a\nb", "data", "cannot be printed", id="two lines"),
        pytest.param("", "model", "is no source for a model", id="empty"),
    ],
)
def test_refused(text: str, what: str, says: str) -> None:
    with pytest.raises(StageFailure, match=says):
        parse(text, what)


def test_plain_http_only_on_hosts_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OLIVE_HTTP_HOSTS", "127.0.0.1")
    assert parse("http://127.0.0.1:8000/a", "data") == Web("http://127.0.0.1:8000/a")
    with pytest.raises(StageFailure):
        parse("http://127.0.0.2/a", "data")


@pytest.mark.parametrize(
    "text", ["ftp://me:secret@host/a?secret=secret", "http://me:secret@host/a"]
)
def test_a_refused_address_is_shown_without_its_secrets(text: str) -> None:
    with pytest.raises(StageFailure) as caught:
        parse(text, "data")
    assert "secret" not in str(caught.value)
