"""buildah, with its storage in the cache: builds where there is no docker engine."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from olive_cluster.packages import install
from olive_cluster.places import CACHE, CONTENT
from olive_cluster.shell import ClusterError, require_root, run, say
from olive_images.recipe import ROOT, Recipe
from olive_images.secrets import build_secrets

STORAGE = CACHE / "buildah"
SCRATCH = STORAGE / "scratch"
"""buildah's TMPDIR: cache mounts and archives, too big for some machines' own."""
_PULL_SECONDS = "10"


def command(*arguments: str) -> list[str]:
    """A buildah command. Its mounts end with it: they are in a namespace of their own."""
    inside = ["unshare", "--mount", "env", f"TMPDIR={SCRATCH}"]
    options = ["--root", f"{STORAGE}/root", "--runroot", f"{STORAGE}/run"]
    return [*inside, "buildah", *options, "--storage-driver=overlay", *arguments]


def prepare() -> None:
    """Make ready to build: install what is missing, and say early that it takes root."""
    require_root("building images with buildah (a docker engine would need none)")
    install("buildah")
    SCRATCH.mkdir(parents=True, exist_ok=True)


def has(ref: str) -> bool:
    """Whether the storage holds an image."""
    inspect = command("inspect", "--type=image", "--format={{.FromImageID}}", ref)
    return bool(run(inspect, check=False).strip())


def build(recipe: Recipe, ref: str) -> None:
    """Build an image from its Dockerfile, with every layer cached."""
    for base in recipe.bases():
        if not has(base):
            _fetch(base)
    with build_secrets() as secrets:
        options = ["--isolation=chroot", "--pull-never", "--layers", "--format=oci"]
        what = [f"--tag={ref}", f"--file={recipe.dockerfile}", str(ROOT)]
        done = subprocess.run(
            command("build", *options, *secrets, *what),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode != 0:
        log = STORAGE / f"{recipe.name}.log"
        log.write_text(done.stdout)
        end = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-20:])
        raise ClusterError(f"building {recipe.name} failed; {log} ends with\n{end}")


def tag(ref: str, name: str) -> None:
    """Give an image a second name."""
    run(command("tag", ref, name))


def push(ref: str) -> None:
    """Push an image to the registry that its name says."""
    run(command("push", ref, f"docker://{ref}"))


@contextmanager
def layout(ref: str) -> Iterator[Path]:
    """An OCI layout folder with one image, for as long as it is needed.

    The blobs that the node's containerd holds are linked into it first. buildah finds them
    there and writes only the others, so that a change of one line costs megabytes, not gigabytes.
    """
    folder = STORAGE / "layout"
    shutil.rmtree(folder, ignore_errors=True)
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    for blob in CONTENT.iterdir() if CONTENT.is_dir() else ():
        os.link(blob, blobs / blob.name)
    try:
        # Not `push`: that of Debian 12's buildah compresses in spite of its option, which takes
        # minutes and gives every layer a digest that nobody can know beforehand.
        container = run(command("from", "--pull-never", ref)).strip()
        how = ["--quiet", "--rm", "--disable-compression", "--format=oci"]
        run(command("commit", *how, container, f"oci:{folder}:{ref}"))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(base: str) -> None:
    """Pull a base image, or make it, where no registry answers."""
    pull = command("pull", "--quiet", base)
    try:
        run(["timeout", _PULL_SECONDS, *pull])
    except ClusterError:
        from olive_images.base import make

        say(f"no registry answers: making {base} of Debian's packages")
        make(base)
