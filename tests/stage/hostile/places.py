"""Claims with links, pipes and names that lead elsewhere; sources that are no sources."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from hostile.case import Case
from source_files import ADAPTER, MODEL, ROWS

OUTSIDE = Path(__file__)
"""A file that is on no claim."""


def link(name: str, target: str) -> Callable[[Path], None]:
    def lay(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return lay


def pipe(name: str) -> Callable[[Path], None]:
    def lay(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return lay


def endpoint(name: str) -> Callable[[Path], None]:
    def lay(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        here = os.getcwd()
        os.chdir(folder)  # a socket's path is 108 bytes long at most
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(name)
        os.chdir(here)

    return lay


def folder_named(name: str) -> Callable[[Path], None]:
    def lay(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name / "inside").mkdir(parents=True)

    return lay


def cases() -> Iterator[Case]:
    for name in MODEL:
        for kind, target in TARGETS.items():
            ends, says = "InvalidInput", "is a link that leads out of the claim"
            if kind == "to nothing":
                ends, says = "SourceNotFound", "is a link to nothing"
            yield Case(
                f"{name} is a link {kind}",
                ends,
                f"{name} {says}",
                files=MODEL,
                lay=link(name, target),
            )
        for kind, laid in SPECIAL.items():
            yield Case(
                f"{name} is {kind}",
                says=f"{name} is no ordinary file",
                files=MODEL,
                lay=laid(name),
            )
    weights = "adapter_model.safetensors"
    yield Case(
        "an adapter's weights are a link that leads out",
        says="leads out of the claim",
        what="adapter",
        files=ADAPTER,
        lay=link(weights, str(OUTSIDE)),
    )
    rows, data = {"rows.jsonl": ROWS}, "pvc://team/it/rows.jsonl"
    for kind, target in {"out": str(OUTSIDE), "to the environment": "/proc/self/environ"}.items():
        lay = link("rows.jsonl", target)
        yield Case(f"data is a link {kind}", says="leads out", what="data", source=data, lay=lay)
    for kind, laid in SPECIAL.items():
        says = "is a folder" if kind == "a folder" else "is no ordinary file"
        lay = laid("rows.jsonl")
        yield Case(f"data is {kind}", says=says, what="data", source=data, files=rows, lay=lay)
    yield Case(
        "a link inside the claim is followed",
        "Succeeded",
        files={**MODEL, "blobs/c": MODEL["config.json"]},
        lay=link("config.json", "blobs/c"),
    )
    yield Case(
        "the folder is a link that leads out",
        says="leads out of the claim",
        source="pvc://team/it/sub",
        files=MODEL,
        lay=link("sub", "/etc"),
    )
    yield Case(
        "links in a circle",
        source="pvc://team/it/a",
        files=MODEL,
        lay=lambda folder: (link("a", "b")(folder), link("b", "a")(folder))[0],
    )
    for name, other in NAMES.items():
        files = {"readme": b"", **{k: v for k, v in MODEL.items() if k != "config.json"}}
        yield Case(
            f"no config, but a file named {name}",
            "SourceNotFound",
            "found there",
            files=files,
            lay=lambda folder, other=other: (folder / os.fsdecode(other)).write_bytes(b"x"),
        )
    for name, (what, source, ends) in SOURCES.items():
        yield Case(f"source: {name}", ends, what=what, source=source, files=MODEL)


TARGETS = {
    "that leads out": str(OUTSIDE),
    "to a device": "/dev/zero",
    "to a process's memory": "/proc/self/mem",
    "to the environment": "/proc/self/environ",
    "to nothing": "nothing",
}
SPECIAL: dict[str, Callable[[str], Callable[[Path], None]]] = {
    "a pipe": pipe,
    "a socket": endpoint,
    "a folder": folder_named,
}
NAMES: dict[str, bytes] = {
    "in no encoding": b"\xff\xfe\x80.json",
    "on two lines": b"a\nb.json",
    "with 255 letters": b"n" * 255,
    "with an escape sequence": b"\x1b[2J\x1b]0;x\x07.json",
    "with marks of direction": "\u202egnp.json".encode(),
    "like an option": b"--help",
    "like a template": b"{0.__class__}%s$(id)",
}
SOURCES: dict[str, tuple[str, str, str]] = {
    "climbs out of the claim": ("model", "pvc://team/../../etc", "InvalidInput"),
    "climbs into another claim": ("model", "pvc://team/../other/model", "InvalidInput"),
    "another claim": ("model", "pvc://other/model", "SourceNotFound"),
    "a claim named ..": ("model", "pvc://../model", "InvalidInput"),
    "a claim with a slash for a name": ("model", "pvc:///etc/passwd", "InvalidInput"),
    "a path with NUL": ("model", "pvc://team/it\0x", "InvalidInput"),
    "a path of two lines": ("model", "pvc://team/it\n/etc", "InvalidInput"),
    "a path of 5000 letters": ("model", "pvc://team/" + "x" * 5000, "InvalidInput"),
    "a path of 2000 folders": ("model", "pvc://team/" + "x/" * 2000, "SourceNotFound"),
    "a local file": ("data", "file:///etc/passwd", "InvalidInput"),
    "a local path": ("data", "/etc/passwd", "InvalidInput"),
    "plain http": ("data", "http://example.com/a", "InvalidInput"),
    "ftp with a password": ("data", "ftp://me:s3cr3t@example.com/a", "InvalidInput"),
    "no host": ("data", "https:///a", "InvalidInput"),
    "half a bracket": ("data", "https://[::1/a", "InvalidInput"),
    "a port of letters": ("data", "https://example.com:port/a", "InvalidInput"),
    "the metadata's address": ("data", "https://169.254.169.254/latest", "InvalidInput"),
    "the pod's own address": ("data", "https://127.0.0.2/a", "InvalidInput"),
    "a repository that climbs": ("model", "hf://../..", "InvalidInput"),
    "a data set's file that climbs": ("data", "hf://datasets/o/n/../../x", "InvalidInput"),
    "a bucket's path that climbs": ("model", "s3://bucket/../other", "InvalidInput"),
    "a bucket named ..": ("model", "s3://../bucket/x", "InvalidInput"),
    "a container without a path": ("model", "az://container", "InvalidInput"),
    "nothing": ("model", "", "InvalidInput"),
    "100 000 letters": ("model", "x" * 100_000, "InvalidInput"),
}
