"""publish to a real OCI registry, through a front that cuts, delays and refuses."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import registries
import requests
from publications import FILES, contents, version
from registries import (
    IDENTITY,
    PASSWORD,
    USER,
    Answer,
    Cut,
    Front,
    Tokens,
    fronting,
    giving_tokens,
    registry,
    with_password,
)

from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import OCI
from olive_contract.stage import Published
from olive_stage.publish import (
    blob_upload,
    docker_config,
    registry_answer,
    registry_client,
    registry_login,
)
from olive_stage.publish.docker_config import login_of
from olive_stage.publish.image import CONTENT, LAYER, MANIFEST, TITLE, layers_of
from olive_stage.publish.registry import OCIRepository
from olive_stage.publish.registry_client import Registry
from olive_stage.publish.registry_login import Authorization, same_origin
from olive_stage.publish.tar_layer import Layer
from olive_stage.publish.version import Entry, Version

PATH = "team/models/phi"
CHUNK = 100_000
LAYERS = 3
"""The base, one adapter, the documents."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def front(running: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    monkeypatch.setattr(blob_upload, "CHUNK", CHUNK)
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    with fronting(running) as front:
        yield front


@pytest.fixture
def travel(tmp_path: Path) -> Version:
    return version(tmp_path / "travel", "travel")


@pytest.fixture
def reference(front: Front, request: pytest.FixtureRequest) -> str:
    """A repository that no other test has pushed to, though the registry may know its blobs."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    return f"{front.host}/{PATH}/{name}:v1"


def publish(reference: str, version: Version) -> Published:
    return OCIRepository(OCI(reference)).publish(version)


def log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, **entry: str) -> None:
    """A Docker configuration with this entry for the host."""
    (tmp_path / "config.json").write_text(json.dumps({"auths": {f"https://{host}/v1/": entry}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def pulled(front: Front, reference: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest, and each layer by its title, as a client without our code reads them."""
    host, _, rest = reference.partition("/")
    path, _, name = rest.partition("@") if "@" in rest else rest.partition(":")
    base = f"http://{host}/v2/{path}"
    answer = requests.get(f"{base}/manifests/{name}", headers={"Accept": MANIFEST}, timeout=60)
    answer.raise_for_status()
    manifest: dict[str, Any] = answer.json()
    layers = {}
    for layer in manifest["layers"]:
        blob = requests.get(f"{base}/blobs/{layer['digest']}", timeout=60).content
        assert len(blob) == layer["size"]
        layers[layer["annotations"][TITLE]] = blob
    config = requests.get(f"{base}/blobs/{manifest['config']['digest']}", timeout=60).json()
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    return manifest, layers


def unpacked(layers: dict[str, bytes]) -> dict[str, bytes]:
    """The files of the image's file system."""
    files: dict[str, bytes] = {}
    for blob in layers.values():
        with tarfile.open(fileobj=io.BytesIO(blob)) as tar:
            for member in tar:
                assert (member.mtime, member.uid, member.gid) == (0, 0, 0)
                if stream := tar.extractfile(member):
                    files[member.name] = stream.read()
    return files


def refused(reference: str, version: Version) -> StageFailure:
    with pytest.raises(StageFailure) as caught:
        publish(reference, version)
    return caught.value


def test_an_image_has_the_version_below_models(
    front: Front, reference: str, travel: Version
) -> None:
    published = publish(reference, travel)
    manifest, layers = pulled(front, published.reference)
    assert unpacked(layers) == {f"models/{path}": body for path, body in contents(travel).items()}
    assert list(layers) == ["base.tar", "adapter-travel.tar", "documents.tar"]
    assert {layer["mediaType"] for layer in manifest["layers"]} == {LAYER}
    assert manifest["annotations"][CONTENT] == travel.content
    assert pulled(front, reference)[0] == manifest
    assert published.url == ""


def test_a_content_that_is_there_is_not_pushed_again(
    front: Front, reference: str, travel: Version, tmp_path: Path
) -> None:
    first = publish(reference, travel)
    front.asked.clear()
    told_otherwise = version(tmp_path / "again", "travel", card="# measured again\n")
    assert publish(reference, told_otherwise) == first
    assert front.asked == [f"GET /v2/{reference.partition('/')[2].replace(':', '/manifests/')}"]


def test_one_more_adapter_is_one_more_layer(
    front: Front, reference: str, travel: Version, tmp_path: Path
) -> None:
    first = publish(reference, travel)
    front.asked.clear()
    both = version(tmp_path / "both", "food", "travel")
    second = publish(reference, both)
    sent = front.requests(r"POST .*/uploads/")
    assert len(sent) == 2, sent  # the adapter and the image's configuration
    assert second != first
    files = unpacked(pulled(front, reference)[1])
    assert files["models/adapters/food/adapter.onnx_adapter"] == b"adapter food"
    assert unpacked(pulled(front, first.reference)[1]).keys() < files.keys()


def test_a_cut_upload_goes_on_where_the_registry_stopped(
    front: Front, reference: str, travel: Version
) -> None:
    front.cuts.append(Cut(rf"PATCH .* {CHUNK}-", after=40_000))
    publish(reference, travel)
    assert (
        unpacked(pulled(front, reference)[1])["models/model.onnx.data"] == FILES["model.onnx.data"]
    )
    starts = [int(line.rsplit(" ", 1)[1].split("-")[0]) for line in front.requests("PATCH")]
    assert starts[:2] == [0, CHUNK]
    assert CHUNK <= starts[2] <= CHUNK + 40_000  # what the registry had read by then
    assert starts.count(0) == LAYERS + 1
    assert len(front.requests(r"POST .*/uploads/")) == LAYERS + 1


def test_a_registry_that_is_away_for_a_moment_is_asked_again(
    front: Front, reference: str, travel: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(blob_upload, "time", SimpleNamespace(sleep=waited.append))
    front.cuts.append(Cut(rf"PATCH .* {CHUNK}-", after=40_000))
    front.answers.append(Answer(r"HEAD", 404, times=1))
    front.answers.append(Answer(r"HEAD", 503, times=2))
    publish(reference, travel)
    assert waited == [1, 2, 4]
    assert len(front.requests(r"POST .*/uploads/")) == LAYERS + 1


def test_a_registry_that_has_forgotten_an_upload_is_sent_the_whole_blob(
    front: Front, reference: str, travel: Version
) -> None:
    gone = error("BLOB_UPLOAD_UNKNOWN")
    front.answers.append(Answer(rf"PATCH .* {CHUNK}-", 404, body=gone))
    front.answers.append(Answer(r"GET .*/uploads/", 404, body=gone))
    publish(reference, travel)
    assert contents(travel).keys() == {
        path.removeprefix("models/") for path in unpacked(pulled(front, reference)[1])
    }
    assert len(front.requests(r"POST .*/uploads/")) == LAYERS + 2


def test_an_attempt_after_a_crash_sends_no_layer_again(
    front: Front, reference: str, travel: Version
) -> None:
    front.answers.append(Answer(r"PUT .*/manifests/", 500))
    assert refused(reference, travel).failure is FailureClass.STAGE_ERROR
    front.asked.clear()
    publish(reference, travel)
    assert not front.requests(r"POST|PATCH")
    assert len(unpacked(pulled(front, reference)[1])) == len(travel.files)


def test_a_tag_moves_only_after_the_manifest_is_there(
    front: Front, reference: str, travel: Version, tmp_path: Path
) -> None:
    first = publish(reference, travel)
    puts = [line.rpartition("/")[2] for line in front.requests("PUT .*/manifests/")]
    assert puts == [first.reference.partition("@")[2], "v1"]
    front.answers.append(Answer(r"PUT .*/manifests/v1", 500))
    refused(reference, version(tmp_path / "both", "food", "travel"))
    assert pulled(front, reference)[0]["annotations"][CONTENT] == travel.content


def test_whoever_publishes_the_same_files_makes_the_same_image(
    front: Front, reference: str, travel: Version, tmp_path: Path
) -> None:
    first = publish(reference, travel)
    other = publish(reference.replace(":v1", ":v2"), version(tmp_path / "elsewhere", "travel"))
    assert other == first


def test_a_registry_that_asks_to_wait_is_waited_for(
    front: Front, reference: str, travel: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(registry_client, "time", SimpleNamespace(sleep=waited.append))
    front.answers.append(Answer(r"POST .*/uploads/", 429, {"Retry-After": "30"}, times=2))
    publish(reference, travel)
    assert waited == [30, 30]
    assert len(front.requests(r"POST .*/uploads/")) == LAYERS + 1 + 2


def error(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": "secret"}]}).encode()


@pytest.mark.parametrize(
    ("answer", "failure", "says"),
    [
        pytest.param(
            Answer("GET", 403, body=error("DENIED")),
            FailureClass.AUTH_DENIED,
            "secretRef",
            id="forbidden",
        ),
        pytest.param(
            Answer("POST", 404, body=error("NAME_UNKNOWN")),
            FailureClass.INVALID_INPUT,
            "make it first",
            id="no such repository",
        ),
        pytest.param(
            Answer("PATCH", 413), FailureClass.INVALID_INPUT, "raise the limit", id="too large"
        ),
        pytest.param(
            Answer("GET", 429, {"Retry-After": "3600"}),
            FailureClass.STAGE_ERROR,
            "throttles",
            id="to wait for an hour",
        ),
        pytest.param(
            Answer("GET", 503), FailureClass.STAGE_ERROR, "answered 503", id="out of order"
        ),
        pytest.param(
            Answer("GET", 200, body=b"<html>"),
            FailureClass.STAGE_ERROR,
            "no registry",
            id="no registry",
        ),
        pytest.param(
            Answer("GET", 307, {"Location": "http://example.invalid/x"}),
            FailureClass.INVALID_INPUT,
            "not https",
            id="sent to plain http",
        ),
        pytest.param(
            Answer("GET", 200, body=b"{" + b" " * registry_answer.MOST),
            FailureClass.STAGE_ERROR,
            "more than a registry",
            id="an answer without end",
        ),
        pytest.param(
            Answer("GET", 500, body=b'{"errors":' + b"[" * 100_000),
            FailureClass.STAGE_ERROR,
            "answered 500",
            id="a refusal without sense",
        ),
        pytest.param(
            Answer("GET", 307, {"Location": "https://[nowhere/x"}),
            FailureClass.STAGE_ERROR,
            "broke off (ValueError)",
            id="sent to what is no address",
        ),
        pytest.param(
            Answer("POST", 202, {"Location": "https://[nowhere/x"}),
            FailureClass.INVALID_INPUT,
            "not https",
            id="to upload to what is no address",
        ),
        pytest.param(
            Answer(r"PUT .*digest", 400, body=error("DIGEST_INVALID")),
            FailureClass.STAGE_ERROR,
            "DIGEST_INVALID",
            id="arrived damaged",
        ),
        pytest.param(
            Answer(r"PUT .*digest", 201, {"Docker-Content-Digest": "sha256:0"}),
            FailureClass.STAGE_ERROR,
            "another blob",
            id="kept another blob",
        ),
    ],
)
def test_a_refusal_says_what_to_do(
    front: Front, reference: str, travel: Version, answer: Answer, failure: FailureClass, says: str
) -> None:
    front.answers.append(answer)
    told = refused(reference, travel)
    assert (told.failure, says in str(told)) == (failure, True), told
    assert "secret" not in str(told).replace("secretRef", "")


def test_a_registry_that_is_not_there_is_worth_another_attempt(travel: Version) -> None:
    told = refused("127.0.0.1:1/team/phi:v1", travel)
    assert (told.failure, "127.0.0.1:1" in str(told)) == (FailureClass.STAGE_ERROR, True)


@pytest.mark.parametrize(
    "reference",
    ["phi:v1", "registry.example.com/phi", "registry.example.com/Phi:v1", "https://a/b:c", "a/b:"],
)
def test_a_reference_names_host_path_and_tag(reference: str) -> None:
    with pytest.raises(StageFailure, match="HOST") as caught:
        OCIRepository(OCI(reference))
    assert caught.value.failure is FailureClass.INVALID_INPUT


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("registry.example.com", "https://registry.example.com/v2/phi/"),
        ("registry.example.com:5000", "https://registry.example.com:5000/v2/phi/"),
        ("docker.io", "https://registry-1.docker.io/v2/phi/"),
        ("localhost:5000", "http://localhost:5000/v2/phi/"),
        ("localhost.example.com", "https://localhost.example.com/v2/phi/"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000/v2/phi/"),
    ],
)
def test_only_this_machine_is_spoken_to_without_tls(host: str, base: str) -> None:
    assert Registry(host, "phi").base == base


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("https://registry.example.com:443/v2/phi/", True),
        ("https://Registry.Example.com/v2/phi/", True),
        ("https://registry.example.com:5000/v2/phi/", False),
        ("http://registry.example.com/v2/phi/", False),
        ("https://registry.example.com.evil.example/v2/phi/", False),
    ],
)
def test_a_login_is_shown_to_the_registry_however_it_writes_its_port(
    address: str, same: bool
) -> None:
    assert same_origin(address, Registry("registry.example.com", "phi").base) is same


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A registry that lets in nobody without the password."""
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    folder = tmp_path / "guarded"
    folder.mkdir()
    with registry(folder, with_password(folder)) as host:
        yield f"{host}/{PATH}:v1"


@pytest.mark.parametrize(
    "entry",
    [
        {"username": USER, "password": PASSWORD},
        {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()},
    ],
    ids=["user and password", "auth"],
)
def test_the_password_of_the_docker_configuration_is_used(
    guarded: str,
    travel: Version,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry: dict[str, str],
) -> None:
    log_in(tmp_path, monkeypatch, guarded.partition("/")[0], **entry)
    assert "@sha256:" in publish(guarded, travel).reference


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"username": USER, "password": "wrong-one"}, "may not do"),
        (None, "no login"),
        ({"auth": "no base64"}, "cannot be read"),
    ],
    ids=["wrong password", "no login", "unreadable"],
)
def test_without_the_right_password_it_says_which_right_is_needed(
    guarded: str,
    travel: Version,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry: dict[str, str] | None,
    says: str,
) -> None:
    if entry:
        log_in(tmp_path, monkeypatch, guarded.partition("/")[0], **entry)
    told = refused(guarded, travel)
    assert (told.failure, says in str(told)) == (FailureClass.AUTH_DENIED, True), told
    assert "wrong-one" not in str(told)


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tokens]:
    monkeypatch.setattr(blob_upload, "CHUNK", CHUNK)
    folder = tmp_path / "tokens"
    folder.mkdir()
    with giving_tokens(folder) as tokens:
        yield tokens


@pytest.fixture
def believing(tokens: Tokens) -> Iterator[Front]:
    """A front before a registry that takes those tokens alone."""
    with registry(tokens.folder, tokens.auth()) as host, fronting(host) as front:
        yield front


@pytest.mark.parametrize(
    ("entry", "how"),
    [({"username": USER, "password": PASSWORD}, "GET"), ({"identitytoken": IDENTITY}, "POST")],
    ids=["password", "identity token"],
)
def test_a_token_is_asked_for_and_another_when_it_has_run_out(
    believing: Front,
    tokens: Tokens,
    travel: Version,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry: dict[str, str],
    how: str,
) -> None:
    log_in(tmp_path, monkeypatch, believing.host, **entry)
    challenge = f'Bearer realm="{tokens.realm}",service="registry of the test"'
    believing.answers.append(Answer(rf"PATCH .* {CHUNK}-", 401, {"WWW-Authenticate": challenge}))
    publish(f"{believing.host}/{PATH}:v1", travel)
    assert tokens.asked == [how, how]


def test_a_token_that_is_about_to_run_out_is_replaced_before(
    believing: Front,
    tokens: Tokens,
    travel: Version,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_in(tmp_path, monkeypatch, believing.host, username=USER, password=PASSWORD)
    monkeypatch.setattr(registry_login, "USED", 0)
    publish(f"{believing.host}/{PATH}:v1", travel)
    assert believing.shown.count("") == 1  # the first request, which is answered by 401
    assert len(set(believing.shown)) == len(believing.shown)


def test_a_password_goes_to_no_realm_without_tls(
    front: Front,
    reference: str,
    travel: Version,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_in(tmp_path, monkeypatch, front.host, username=USER, password=PASSWORD)
    front.challenge = 'Bearer realm="http://tokens.example.invalid/token"'
    told = refused(reference, travel)
    assert (told.failure, "not https" in str(told)) == (FailureClass.AUTH_DENIED, True), told


@pytest.fixture
def asking(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> Authorization:
    """Somebody who logs in at those tokens, for a registry of this machine."""
    login = docker_config.Login(registries.USER, registries.PASSWORD)
    monkeypatch.setattr(registry_login, "login_of", lambda host: login)
    return Authorization("127.0.0.1:5000", PATH, requests.Session())


def test_a_challenge_that_another_follows_is_read_alone(
    asking: Authorization, tokens: Tokens
) -> None:
    bearer = f'Bearer realm="{tokens.realm}",service="registry of the test"'
    asking.meet(f'{bearer}, Basic realm="the same registry"')
    assert asking.header.startswith("Bearer ")


@pytest.mark.parametrize(
    "body", [b'{"token": "t", "expires_in": 1e999}', b"[" * 100_000, b"[]"], ids=len
)
def test_a_token_without_sense_is_worth_another_attempt(
    asking: Authorization, front: Front, body: bytes
) -> None:
    front.answers.append(Answer("GET /token", 200, body=body))
    with pytest.raises(StageFailure, match="has no sense") as caught:
        asking.meet(f'Bearer realm="http://{front.host}/token"')
    assert caught.value.failure is FailureClass.STAGE_ERROR


def test_only_a_registry_of_this_machine_may_name_a_place_for_tokens_on_it(
    asking: Authorization, tokens: Tokens
) -> None:
    asking.host = "registry.example.com"
    with pytest.raises(StageFailure, match="not https"):
        asking.meet(f'Bearer realm="{tokens.realm}",service="registry of the test"')
    assert tokens.asked == []


def test_a_password_may_have_any_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registries, "PASSWORD", "pässwörd €")
    monkeypatch.setattr(
        registry_login, "login_of", lambda host: docker_config.Login(USER, "pässwörd €")
    )
    with giving_tokens(tmp_path) as tokens:
        asking = Authorization("127.0.0.1:5000", PATH, requests.Session())
        asking.meet(f'Bearer realm="{tokens.realm}",service="registry of the test"')
    assert asking.header.startswith("Bearer ")


def test_docker_hub_has_another_name_in_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(tmp_path, monkeypatch, "index.docker.io", username=USER, password=PASSWORD)
    login = login_of("docker.io")
    assert login is not None
    assert (login.user, login.password) == (USER, PASSWORD)
    assert login_of("registry.example.com") is None


def test_a_docker_configuration_that_cannot_be_read_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(StageFailure, match="cannot be read") as caught:
        login_of("registry.example.com")
    assert caught.value.failure is FailureClass.AUTH_DENIED


def test_a_login_is_not_told_with_what_holds_it() -> None:
    assert str(docker_config.Login(USER, PASSWORD, IDENTITY)) == f"Login(user='{USER}')"


def test_a_token_that_may_not_push_is_told_of(
    believing: Front,
    tokens: Tokens,
    travel: Version,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_in(tmp_path, monkeypatch, believing.host, username=USER, password=PASSWORD)
    tokens.actions = ("pull",)
    told = refused(f"{believing.host}/{PATH}:v1", travel)
    assert told.failure is FailureClass.AUTH_DENIED
    assert f"repository:{PATH}:pull,push" in str(told)


def test_the_password_is_shown_to_no_other_host(
    front: Front,
    running: str,
    reference: str,
    travel: Version,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_in(tmp_path, monkeypatch, front.host, username=USER, password=PASSWORD)
    front.challenge = 'Basic realm="test"'
    path = reference.partition("/")[2].removesuffix(":v1")
    with fronting(running, "localhost") as elsewhere:
        uploads = f"http://{elsewhere.host}/v2/{path}/blobs/uploads/"
        location = requests.post(uploads, timeout=60).headers["Location"]
        front.answers.append(Answer(r"POST .*/uploads/", 202, {"Location": location}))
        publish(reference, travel)
        assert elsewhere.requests("PATCH")
        assert elsewhere.requests("PUT .*digest")
        assert set(elsewhere.shown) == {""}
    assert all(front.shown[1:])


def test_a_layer_can_be_read_from_anywhere_on(tmp_path: Path) -> None:
    deep = "a-folder-with-a-name/" * 8 + "weights.bin"
    bodies = {deep: b"w" * 5000, "empty": b"", "aligned": b"x" * 512}
    entries = []
    for number, (path, body) in enumerate(bodies.items()):
        file = tmp_path / str(number)
        file.write_bytes(body)
        entries.append(Entry(path, file, len(body), hashlib.sha256(body).hexdigest()))
    layer = Layer("base.tar", tuple(entries))
    whole = b"".join(layer.read())
    assert (len(whole), layer.digest) == (
        layer.size,
        f"sha256:{hashlib.sha256(whole).hexdigest()}",
    )
    for offset in range(0, len(whole) + 1, 97):
        assert b"".join(layer.read(offset)) == whole[offset:]
    assert unpacked({"": whole}) == {f"models/{path}": body for path, body in bodies.items()}
    assert Layer("base.tar", tuple(reversed(entries))).digest == layer.digest
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        names = tar.getnames()
    folders = [f"models/{'a-folder-with-a-name/' * depth}".rstrip("/") for depth in range(9)]
    assert names[:9] == folders  # the outer ones first


def test_a_file_that_became_shorter_is_not_published(travel: Version) -> None:
    base = next(iter(layers_of(travel)))
    base.entries[0].file.write_bytes(b"")
    with pytest.raises(StageFailure, match="shorter"):
        print(base.digest)
