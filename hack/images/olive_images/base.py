"""The base image out of Debian's packages, for a machine that reaches no registry."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from olive_cluster.packages import install
from olive_cluster.shell import ClusterError, run
from olive_images import buildah


def make(base: str) -> None:
    """Make the image called `base` with debootstrap, from the mirror that this machine uses."""
    found = re.fullmatch(r"docker\.io/library/debian:(\w+)-slim", base)
    if found is None:
        raise ClusterError(f"{base} cannot be made here: only docker.io/library/debian:*-slim can")
    release = found[1]
    install("debootstrap")
    sources = apt_sources(_index_targets(), release)
    mirror = sources[0].split()[1]
    with TemporaryDirectory(dir=buildah.SCRATCH) as temporary:
        tree, archive = Path(temporary) / "tree", Path(temporary) / "base.tar"
        # debootstrap mounts /proc in the tree; a namespace of its own takes that away again.
        variant = ["--variant=minbase", release, str(tree), mirror]
        run(["unshare", "--mount", "debootstrap", *variant])
        (tree / "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in sources))
        for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
            run(["find", str(tree / waste), "-mindepth", "1", "-delete"])
        run(["tar", "--create", f"--file={archive}", f"--directory={tree}", "--numeric-owner", "."])
        container = run(buildah.command("from", "--pull-never", "scratch")).strip()
        run(buildah.command("add", container, str(archive), "/"))
        run(buildah.command("config", "--cmd=bash", container))
        run(buildah.command("commit", "--quiet", "--rm", container, base))


def apt_sources(targets: str, release: str) -> list[str]:
    """The sources.list of a release, from what this machine's apt knows; main first."""
    found = {
        tuple(line.split("\t"))
        for line in targets.splitlines()
        if line.split("\t")[1].split("-")[0] == release
    }
    lines = [f"deb {site} {suite} {component}" for site, suite, component in sorted(found)]
    main = [line for line in lines if line.split()[2:] == [release, "main"]]
    if not main:
        raise ClusterError(f"this machine's apt knows no mirror of Debian {release}")
    return main[:1] + [line for line in lines if line != main[0]]


def _index_targets() -> str:
    # Whatever way the sources are written in, apt tells them in one.
    form = "--format=$(SITE)\t$(RELEASE)\t$(COMPONENT)"
    return run(["apt-get", "indextargets", form, "Created-By: Packages", "Origin: Debian"])
