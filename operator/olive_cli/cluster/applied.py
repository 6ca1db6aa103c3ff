"""What applying a file would make of a job: asked of the API server, by ``kubectl apply``.

The same program, merge and field manager that would apply it, in a dry run: defaults, admission and
the fields that others have set are in the answer, and what the file no longer has is not.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from olive_cli.errors import (
    AbsentError,
    CliError,
    ForbiddenError,
    NoClusterError,
    WrongInputError,
    no_kubectl,
)
from olive_cli.job.view import Body
from olive_operator.labels import FIELD_MANAGER

KIND = "OptimizationJob"
CLIENT_SIDE = "kubectl-client-side-apply"
"""The manager of what kubectl has applied, unless by --server-side."""


def written(kubectl: Sequence[str], file: str, text: str, how: Sequence[str]) -> Body:
    """The job as it would be. ``text``: its manifest, of ``file``; ``how``: further flags."""
    command = [*kubectl, "apply", "--dry-run=server", "--output=json", "--filename=-", *how]
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        raise no_kubectl(error) from None
    if done.returncode:
        raise _refused(file, done.stderr)
    found: Body = json.loads(done.stdout)
    return found


def as_last_time(before: Body) -> list[str]:
    """The flags by which the job would be applied as it was last: by server-side apply or not."""
    applied = filter(_is_a_persons, before["metadata"].get("managedFields") or [])
    last = max(applied, key=lambda entry: str(entry.get("time", "")), default=None)
    if last is None or last["manager"] == CLIENT_SIDE:
        return []
    return ["--server-side", f"--field-manager={last['manager']}", "--force-conflicts"]


def _is_a_persons(entry: Mapping[str, Any]) -> bool:
    manager, operation = entry.get("manager"), entry.get("operation")
    if entry.get("subresource") or manager == FIELD_MANAGER:
        return False
    return operation == "Apply" or (operation, manager) == ("Update", CLIENT_SIDE)


def _refused(file: str, said: str) -> CliError:
    lines = [line for line in said.splitlines() if not line.startswith("Warning:")]
    why = " ".join(" ".join(lines).split()).removeprefix("error: ") or "it does not say why"
    if "(Forbidden)" in why and " cannot " in why:
        role = "the chart's role olive-operator-edit (the role edit has it)"
        return ForbiddenError(f"you may not apply {file}: ask for {role}; kubectl: {why}")
    if "no matches for kind" in why:
        return AbsentError(f"the cluster has no such kind; is it the right --context? {why}")
    if "namespaces" in why and "not found" in why:
        return AbsentError(why)
    if "unable to connect" in why.lower() or "connection refused" in why or "was refused" in why:
        return NoClusterError(f"the API server does not answer: {why}")
    return WrongInputError(f"{file} would be refused: {why}")
