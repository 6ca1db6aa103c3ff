"""docker, where its engine answers."""

import json
from pathlib import Path

from olive_cluster.shell import run
from olive_images.recipe import ROOT, Recipe
from olive_images.secrets import build_secrets


def answers() -> bool:
    """Whether there is an engine, not only a client."""
    return bool(run(["docker", "version", "--format={{.Server.Version}}"], check=False).strip())


def has(ref: str) -> bool:
    """Whether the engine holds an image."""
    listed = run(["docker", "image", "inspect", ref], check=False)
    return bool(listed and json.loads(listed))


def build(recipe: Recipe, ref: str) -> None:
    """Build an image from its Dockerfile."""
    with build_secrets() as secrets:
        what = [f"--tag={ref}", f"--file={recipe.dockerfile}", str(ROOT)]
        run(["docker", "build", "--quiet", *secrets, *what], env={"DOCKER_BUILDKIT": "1"})


def tag(ref: str, name: str) -> None:
    """Give an image a second name."""
    run(["docker", "image", "tag", ref, name])


def push(ref: str) -> None:
    """Push an image to the registry that its name says."""
    run(["docker", "push", "--quiet", ref])


def save(ref: str, archive: Path) -> None:
    """Write an archive of an image."""
    run(["docker", "save", f"--output={archive}", ref])


def kind_clusters() -> list[str]:
    """The clusters that kind runs on this engine."""
    return run(["kind", "get", "clusters"], check=False).split()


def kind_load(ref: str, cluster: str) -> None:
    """Bring an image onto the nodes of a kind cluster."""
    run(["kind", "load", "docker-image", ref, "--name", cluster])
