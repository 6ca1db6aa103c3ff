"""``kubectl olive ask``: a question to the served model, by the OpenAI client."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai

from olive_cli.cluster import Cluster
from olive_cli.errors import CliError
from olive_cli.follow import Unreachable
from olive_cli.forward import forwarded
from olive_cli.view import Job, job

API_KEY = "OLIVE_API_KEY"
"""The variable with the key to ask with. Not OpenAI's own: that key is no server's of ours."""
NO_KEY = "none"
"""What the client sends where it is given no key; it must send one."""
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
    try:
        body = cluster.job(name).read()
    except Unreachable as error:
        raise CliError(f"the API server does not answer: {error}") from None
    if body is None:
        raise CliError(f"optimizationjob {cluster.namespace}/{name}: no such job")
    model = model_for(job(body), question.model)
    with forwarded(cluster.kubectl, cluster.namespace, f"{name}-serving") as url:
        yield from answer(f"{url}/v1", model, question)


def model_for(found: Job, wanted: str | None) -> str:
    """The served model to ask; CliError if it is not served, or nothing is yet."""
    if found.serving is None:
        why = "spec.serve is left out" if found.verdict and found.verdict.ok else "not yet"
        raise CliError(
            f"optimizationjob {found.namespace}/{found.name} serves nothing ({why}); "
            f"see `kubectl olive watch {found.name} -n {found.namespace}`"
        )
    adapters = [name for name, _ in found.serving.adapters]
    if wanted is None:
        return adapters[0] if len(adapters) == 1 else BASE
    if wanted not in (BASE, *adapters):
        raise CliError(f"model {wanted!r} is not served; served are {', '.join([BASE, *adapters])}")
    return wanted


def answer(url: str, model: str, question: Question) -> Iterator[str]:
    """The pieces of the answer from the OpenAI-compatible API at ``url``."""
    system = [{"role": "system", "content": question.system}] if question.system else []
    messages = [*system, {"role": "user", "content": question.text}]
    try:
        with openai.OpenAI(base_url=url, api_key=question.api_key) as api:
            stream: Any = api.chat.completions.create(
                model=model,
                messages=messages,  # type: ignore[arg-type]
                max_tokens=question.max_tokens,
                temperature=question.temperature,
                stream=True,
            )
            for chunk in stream:
                if chunk.choices and (piece := chunk.choices[0].delta.content):
                    yield piece
    except openai.AuthenticationError:
        raise CliError(f"the server asks for one of spec.serve.apiKeys; set {API_KEY}") from None
    except openai.APIStatusError as error:
        raise CliError(f"the server refuses ({error.status_code}): {error.message}") from None
    except openai.OpenAIError as error:
        raise CliError(f"the server does not answer: {error}") from None
