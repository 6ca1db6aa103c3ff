"""What a hub says to somebody who writes, as failures that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
from huggingface_hub.errors import (
    EntryNotFoundError,
    HFValidationError,
    RepositoryNotFoundError,
)

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.hub_refusals import SENSELESS, failed, garbled, status_of
from olive_stage.words import plain
from olive_stage.work import invalid

BAD_CARD = "Invalid metadata in README.md"
"""How huggingface_hub begins what the hub has to say of a card's front matter."""


@contextmanager
def writing_to(repository: str, endpoint: str) -> Iterator[None]:
    """The hub's refusals of what is done to this repository; ``endpoint`` is the hub's address."""
    try:
        yield
    except HFValidationError:
        raise invalid(f"{plain(repository)} is no name that a repository can have") from None
    except (httpx.HTTPError, EntryNotFoundError) as error:
        raise _refusal(repository, endpoint, error) from None
    except SENSELESS as error:
        if str(error).startswith(BAD_CARD):
            said = plain(str(error).removeprefix(BAD_CARD).strip(". \n"), 300)
            raise invalid(f"the hub does not take the model card's front matter: {said}") from None
        raise garbled(repository) from None
    except RuntimeError as error:  # huggingface_hub's own, around what went wrong with a file
        if isinstance(error.__cause__, httpx.HTTPError):
            raise _refusal(repository, endpoint, error.__cause__) from None
        raise


def _refusal(repository: str, endpoint: str, error: Exception) -> StageFailure:
    status = status_of(error)
    if status and not _is_hub(error, endpoint):  # where files are kept, addresses are signed
        return StageFailure(
            FailureClass.STAGE_ERROR,
            f"the hub's storage refused a file of {repository} ({status}); the next attempt asks "
            "the hub for another address",
        )
    if status in (401, 403) or isinstance(error, RepositoryNotFoundError):
        return StageFailure(
            FailureClass.AUTH_DENIED,
            f"the hub answered {status} for {repository}: give secretRef a Secret whose token has "
            f"write access to {repository}",
        )
    if status == 400:
        return invalid(
            f"the hub does not take what was asked of {repository} (400); check the names of the "
            "repository and of the branch"
        )
    if status == 429:
        return StageFailure(
            FailureClass.STAGE_ERROR,
            f"the hub throttles (429) what is done to {repository}; later it may go on",
        )
    return failed(repository, error)


def _is_hub(error: Exception, endpoint: str) -> bool:
    """Whether it was the hub itself that answered."""
    answer = getattr(error, "response", None)
    asked = str(answer.request.url) if answer is not None else endpoint
    return urlsplit(asked)[:2] == urlsplit(endpoint)[:2]
