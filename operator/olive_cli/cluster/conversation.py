"""Speaking to the served model by the OpenAI client: messages in, the answer piece by piece."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import openai

from olive_cli.errors import ForbiddenError, NoClusterError, RefusedError

API_KEY = "OLIVE_API_KEY"
"""The variable with the key to ask with. Not OpenAI's own: that key is no server's of ours."""
NO_KEY = "none"
"""What the client sends where it is given no key; it must send one."""

Message = dict[str, str]


@dataclass(frozen=True)
class Manner:
    """How answers are to be made."""

    max_tokens: int = 128
    temperature: float = 0.0
    api_key: str = NO_KEY


def message(role: str, text: str) -> Message:
    """A part of a conversation; ``role``: system, user or assistant."""
    return {"role": role, "content": text}


def pieces(url: str, model: str, messages: Sequence[Message], manner: Manner) -> Iterator[str]:
    """The answer to the last message, from the OpenAI-compatible API at ``url``."""
    try:
        # It is on this machine's own port: no proxy of the environment knows the way there.
        here = openai.DefaultHttpxClient(trust_env=False)
        with openai.OpenAI(base_url=url, api_key=manner.api_key, http_client=here) as api:
            stream: Any = api.chat.completions.create(
                model=model,
                messages=list(messages),  # type: ignore[arg-type]
                max_tokens=manner.max_tokens,
                temperature=manner.temperature,
                stream=True,
            )
            for chunk in stream:
                if chunk.choices and (piece := chunk.choices[0].delta.content):
                    yield piece
    except openai.AuthenticationError:
        raise ForbiddenError(
            f"the server asks for one of spec.serve.apiKeys; set {API_KEY}"
        ) from None
    except openai.APIStatusError as error:
        raise RefusedError(f"the server refuses ({error.status_code}): {error.message}") from None
    except openai.OpenAIError as error:
        raise NoClusterError(f"the server does not answer: {error}") from None
