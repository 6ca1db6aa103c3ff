"""What a hub's failures have in common, whoever asks; never its library's text.

That may hold signed addresses, as may what the library logs of a request that it tries again.
"""

import logging

import httpx
from huggingface_hub import set_client_factory
from huggingface_hub.utils._http import default_client_factory

from olive_contract.failures import FailureClass, StageFailure

logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # for good: threads may be at it

TIMEOUT_SECONDS = 300.0
"""Without a byte: the library's own client waits for ever."""


def _client() -> httpx.Client:
    client = default_client_factory()
    client.timeout = httpx.Timeout(TIMEOUT_SECONDS)
    return client


set_client_factory(_client)

SENSELESS = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What comes of reading an answer that no hub gives."""


def status_of(error: BaseException) -> int:
    """The HTTP status that the error is about; 0 if nothing was answered."""
    answer = getattr(error, "response", None)
    return answer.status_code if answer is not None else 0


def failed(what: object, error: BaseException) -> StageFailure:
    """The hub could not do it: worth another attempt."""
    status, kind = status_of(error), type(error).__name__
    told = f"({kind}, HTTP status {status})" if status else f"({kind}); it may be unreachable"
    return StageFailure(FailureClass.STAGE_ERROR, f"the hub failed for {what} {told}")


def garbled(what: object) -> StageFailure:
    """Something else than a hub is there."""
    return StageFailure(
        FailureClass.STAGE_ERROR, f"what answers for {what} is no hub: its answer has no sense"
    )
