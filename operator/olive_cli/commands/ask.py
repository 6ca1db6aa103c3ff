"""``kubectl olive ask``: one question to the served model, and its answer."""

from collections.abc import Iterator
from dataclasses import dataclass

from olive_cli.cluster.connection import Cluster
from olive_cli.cluster.conversation import NO_KEY, Manner, message, pieces
from olive_cli.cluster.forward import forwarded
from olive_cli.errors import AbsentError, CliError
from olive_cli.job.view import Job, job

BASE = "base"
"""The name under which the model is served without any adapter."""


@dataclass(frozen=True)
class Question:
    """What is asked, and of whom; ``model`` None leaves the choice to `model_for`."""

    text: str
    model: str | None = None
    system: str | None = None
    max_tokens: int = 128
    temperature: float = 0.0
    api_key: str = NO_KEY


def ask(cluster: Cluster, name: str, question: Question) -> Iterator[str]:
    """The answer, piece by piece as it is made."""
    model = model_for(job(cluster.found(name)), question.model)
    with forwarded(cluster.kubectl, cluster.namespace, f"{name}-serving") as url:
        yield from answer(f"{url}/v1", model, question)


def served(found: Job) -> list[str]:
    """The models that are served: base, and every adapter; CliError if there is no serving."""
    if found.serving is None:
        why = "spec.serve is left out" if found.verdict and found.verdict.ok else "not yet"
        raise CliError(
            f"optimizationjob {found.namespace}/{found.name} serves nothing ({why}); "
            f"see `kubectl olive why {found.name} -n {found.namespace}`"
        )
    return [BASE, *(name for name, _ in found.serving.adapters)]


def model_for(found: Job, wanted: str | None) -> str:
    """The served model to ask; CliError if it is not served, or nothing is yet."""
    models = served(found)
    if wanted is None:
        return models[1] if len(models) == 2 else BASE
    if wanted not in models:
        raise AbsentError(f"model {wanted!r} is not served; served are {', '.join(models)}")
    return wanted


def answer(url: str, model: str, question: Question) -> Iterator[str]:
    """The pieces of the answer from the OpenAI-compatible API at ``url``."""
    system = [message("system", question.system)] if question.system else []
    manner = Manner(question.max_tokens, question.temperature, question.api_key)
    return pieces(url, model, [*system, message("user", question.text)], manner)
