"""kubectl, as people use it, at the API server of the tests."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Kubectl:
    """kubectl in one namespace."""

    program: str
    kubeconfig: Path
    namespace: str = "default"

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """One command, whatever comes of it."""
        command = [self.program, f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        return subprocess.run([*command, *arguments], input=stdin, capture_output=True, text=True)

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """What one command that succeeds writes to stdout."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, manifest: Manifest, *arguments: str) -> Manifest:
        """Apply the manifest; the object as the API server then has it."""
        command = ("apply", "--filename=-", "--output=json", *arguments)
        applied: Manifest = json.loads(self(*command, stdin=json.dumps(manifest)))
        return applied

    def dry_run(self, manifest: Manifest) -> Manifest:
        """The object as the API server would store it."""
        return self.apply(manifest, "--dry-run=server")

    def refusal(self, manifest: Manifest) -> str:
        """What a person reads who applies a manifest that is refused."""
        command = ("apply", "--filename=-", "--dry-run=server")
        done = self.run(*command, stdin=json.dumps(manifest))
        assert done.returncode != 0, f"it was accepted: {done.stdout}"
        return done.stderr
