"""What an answer of the API server that is no success means, in a sentence: pure."""

import json
from dataclasses import dataclass

import urllib3

from olive_cli.cluster.follow import Gone, Unreachable
from olive_cli.errors import AbsentError, CliError, ForbiddenError, NoClusterError, RefusedError
from olive_operator.labels import GROUP, VERSION

WRITES = frozenset({"create", "update", "patch", "delete"})


@dataclass(frozen=True)
class Resource:
    """A kind of objects: where the API server has it."""

    base: str
    plural: str

    @property
    def full_name(self) -> str:
        """As rights name it: with the group, where it has one."""
        group = self.base.split("/")[2] if self.base.startswith("/apis/") else ""
        return f"{self.plural}.{group}" if group else self.plural


@dataclass(frozen=True)
class Asked:
    """What was asked for; ``namespace`` None: of all namespaces."""

    verb: str
    what: Resource
    namespace: str | None

    @property
    def place(self) -> str:
        return f"in namespace {self.namespace}" if self.namespace else "in all namespaces"


def meaning(status: int, reason: str, text: str, asked: Asked) -> Exception:
    """The exception that a refusal is to be told by."""
    if status == 410:
        return Gone()
    if status == 401:
        return ForbiddenError(
            "the cluster does not know you (401): log in again, or name another --context"
        )
    if status == 403 and _is_of_rights(text):
        return ForbiddenError(
            f"you may not {asked.verb} {asked.what.full_name} {asked.place}: "
            f"ask for {_role(asked)} there"
        )
    if status == 404:
        return AbsentError(f"no such object among {asked.what.full_name} {asked.place}")
    if status == 0 or status == 429 or status >= 500:
        return Unreachable(f"{status} {reason}" if status else _line(reason))
    kind = ForbiddenError if status == 403 else RefusedError
    return kind(f"the API server refuses ({status} {reason}): {said(text)}")


def no_such_kind(versions: list[str]) -> CliError:
    """What is to be done where the API server has no OptimizationJobs of our version."""
    if not versions:
        return AbsentError(
            f"the cluster has no OptimizationJobs of {GROUP}: is this the right --context? "
            "If so, olive-operator is not installed there (helm install)"
        )
    return AbsentError(
        f"the cluster has OptimizationJobs of {GROUP} in {', '.join(versions)}, "
        f"and this kubectl-olive knows {VERSION}: install the one that came with that operator"
    )


def is_object(text: str) -> bool:
    """Whether it is an object's JSON; of a kind that it lacks the API server says plain text."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def said(text: str) -> str:
    """Its own sentence, which names the field that is wrong."""
    try:
        return str(json.loads(text or "")["message"])
    except (ValueError, KeyError, TypeError):
        return _line(text) or "it does not say why"


def unanswered(error: urllib3.exceptions.HTTPError, host: str) -> Unreachable:
    """The API server could not be reached at all; the last cause is the one worth telling."""
    cause: object = getattr(error, "reason", None) or error
    return Unreachable(f"{_line(str(cause)).rpartition(': ')[2]} ({host})")


def unusable(why: str) -> NoClusterError:
    """The kubeconfig does not lead to a cluster."""
    return NoClusterError(
        f"no cluster: {_line(why)}; set KUBECONFIG or give --kubeconfig and --context"
    )


def _is_of_rights(text: str) -> bool:
    """Whether a 403 is for want of a right, and not of a quota or an admission webhook."""
    return not is_object(text) or "message" not in json.loads(text) or " cannot " in said(text)


def _role(asked: Asked) -> str:
    writes = asked.verb in WRITES
    if asked.what.base.startswith(f"/apis/{GROUP}/"):
        name = "edit" if writes else "view"
        return f"the chart's role olive-operator-{name} (the role {name} has it)"
    return f"the role {'edit' if writes else 'view'}"


def _line(text: str) -> str:
    return " ".join(text.split())
