"""Images: their names, what a build is told, and what travels to the node."""

import hashlib
import json
from pathlib import Path

import pytest
from olive_cluster.images import pack
from olive_cluster.shell import ClusterError
from olive_images.base import apt_sources
from olive_images.recipe import NAMES, Recipe
from olive_images.secrets import script

DOCKERFILE = """\
FROM debian:bookworm-slim AS base
FROM base
COPY lock /app/
COPY src /app/src
COPY --from=base /etc/hosts /hosts
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    for name, text in (
        ("images/stage/Dockerfile", DOCKERFILE),
        ("lock", "1"),
        ("src/a.py", "a"),
        ("other/b.py", "b"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Recipe("stage", tmp_path)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("lock", True),
        ("src/a.py", True),
        ("src/new.py", True),
        ("images/stage/Dockerfile", True),
        ("other/b.py", False),
        ("src/__pycache__/a.pyc", False),
        ("src/tests/test_a.py", False),
    ],
)
def test_an_image_is_named_by_what_it_is_made_of(recipe: Recipe, file: str, changes: bool) -> None:
    before = recipe.ref()
    path = recipe.root / file
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "# another line\n")
    assert (recipe.ref() != before) is changes


def test_a_base_is_what_is_not_a_stage_of_the_dockerfile(recipe: Recipe) -> None:
    assert recipe.bases() == ["debian:bookworm-slim"]


def test_a_missing_source_is_told_by_name(recipe: Recipe) -> None:
    (recipe.root / "lock").unlink()
    with pytest.raises(ClusterError, match="images/stage/Dockerfile copies lock"):
        recipe.ref()


def test_images_have_full_names(monkeypatch: pytest.MonkeyPatch, recipe: Recipe) -> None:
    monkeypatch.delenv("REGISTRY", raising=False)
    assert recipe.ref() == f"docker.io/olive-operator/stage:{recipe.key()}"
    monkeypatch.setenv("REGISTRY", "localhost:5000/ml/")
    assert recipe.ref() == f"localhost:5000/ml/stage:{recipe.key()}"


@pytest.mark.parametrize("name", NAMES)
def test_what_the_dockerfiles_copy_passes_dockerignore(name: str) -> None:
    recipe = Recipe(name)
    passed = (recipe.root / ".dockerignore").read_text().splitlines()
    roots = [line.removeprefix("!") for line in passed if line.startswith("!")]
    for source in recipe.sources():
        path = str(source.relative_to(recipe.root))
        assert any(path == root or path.startswith(root + "/") for root in roots), path


def test_a_build_is_told_of_the_machines_ca_and_index(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.crt"
    bundle.touch()
    told = script({"SSL_CERT_FILE": str(bundle), "UV_DEFAULT_INDEX": "https://u:p@index/a b"})
    assert "export SSL_CERT_FILE=/run/secrets/ca\n" in told
    assert "export UV_DEFAULT_INDEX='https://u:p@index/a b'\n" in told
    assert str(bundle) not in told


def test_a_machine_with_nothing_of_its_own_tells_nothing() -> None:
    assert script({"SSL_CERT_FILE": "/nowhere", "PATH": "/bin"}) == ""


def test_the_base_image_has_the_machines_debian_sources() -> None:
    told = "a\tbookworm-updates\tmain\nb\tbookworm\tmain\nc\ttrixie\tmain\n"
    assert apt_sources(told, "bookworm") == ["deb b bookworm main", "deb a bookworm-updates main"]
    with pytest.raises(ClusterError, match="no mirror of Debian sid"):
        apt_sources(told, "sid")


def test_only_the_blobs_that_the_node_lacks_travel(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: str) -> dict[str, object]:
        digest = hashlib.sha256(data.encode()).hexdigest()
        (blobs / digest).write_text(data)
        return {"mediaType": "x", "digest": f"sha256:{digest}", "size": len(data)}

    big, small, config = blob("big"), blob("small"), blob("{}")
    manifest = blob(json.dumps({"config": config, "layers": [big, small]}))
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "a/b:1"}
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [manifest]}))

    def hashed(described: dict[str, object]) -> str:
        return f"blobs/sha256/{str(described['digest']).removeprefix('sha256:')}"

    sent = [name for name, _ in pack(tmp_path, "a/b:1", {hashed(big).rpartition("/")[2]})]
    assert sent == ["oci-layout", "index.json", hashed(manifest), hashed(config), hashed(small)]
    with pytest.raises(ClusterError, match="holds no image named a/b:2"):
        list(pack(tmp_path, "a/b:2", ()))
