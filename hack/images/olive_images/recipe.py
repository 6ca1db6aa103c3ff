"""What an image is made of, and the name that follows from it."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from olive_cluster.shell import ClusterError

ROOT = Path(__file__).resolve().parents[3]
"""The repository: every build's context."""

NAMES = ("operator", "stage", "stage-slim", "serve")
HERE = "docker.io/olive-operator"
"""What stands before the names of images that go to no registry."""


@dataclass(frozen=True)
class Recipe:
    """One image: images/<name>/Dockerfile."""

    name: str
    root: Path = ROOT

    @property
    def dockerfile(self) -> Path:
        """The Dockerfile, whose paths are relative to the repository."""
        return self.root / "images" / self.name / "Dockerfile"

    def bases(self) -> list[str]:
        """The images that it starts from, less its own stages."""
        lines = re.findall(r"^FROM +(\S+)(?: +AS +(\S+))?", self._text(), re.M)
        stages = {stage for _, stage in lines}
        return [base for base, _ in lines if base not in stages]

    def sources(self) -> list[Path]:
        """Every file that it copies from the repository, in a fixed order."""
        files: set[Path] = set()
        for line in re.findall(r"^COPY +(?!--from)(.+)$", self._text(), re.M):
            for name in line.split()[:-1]:
                files.update(self._files(self.root / name))
        return sorted(files)

    def key(self) -> str:
        """A hash of the Dockerfile and of what it copies: equal inputs, equal image."""
        digest = hashlib.sha256(self.dockerfile.read_bytes())
        for path in self.sources():
            digest.update(f"\0{path.relative_to(self.root)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:12]

    def ref(self) -> str:
        """The image's full name; $REGISTRY, where set, is where it will be pulled from."""
        prefix = os.environ.get("REGISTRY", "").rstrip("/") or HERE
        return f"{prefix}/{self.name}:{self.key()}"

    def _text(self) -> str:
        return self.dockerfile.read_text()

    def _files(self, source: Path) -> list[Path]:
        if not source.exists():
            missing = source.relative_to(self.root)
            raise ClusterError(f"images/{self.name}/Dockerfile copies {missing}: it is not there")
        if source.is_file():
            return [source]
        ignored = {"__pycache__", "tests"}  # as .dockerignore has it
        found = (path for path in source.rglob("*") if path.is_file())
        return [path for path in found if not ignored & set(path.parts[len(self.root.parts) :])]
