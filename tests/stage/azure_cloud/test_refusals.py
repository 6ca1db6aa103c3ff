"""What becomes of each kind of refusal of Azure's, whichever client raises it."""

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    IncompleteReadError,
    ResourceModifiedError,
    ServiceResponseTimeoutError,
)

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.azure_ml.refusals import said_in_words
from olive_stage.azure_ml.storage import Storage


def answered(status: int) -> Any:
    return SimpleNamespace(status_code=status, reason="of the test", text=lambda: "")


def of_status(status: int, kind: type[HttpResponseError] = HttpResponseError) -> HttpResponseError:
    return kind(message="sig=secret", response=answered(status))


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (HttpResponseError(IncompleteReadError(), error=IncompleteReadError()), "StageError"),
        (of_status(200, DecodeError), "StageError"),
        (of_status(412, ResourceModifiedError), "StageError"),
        (of_status(409), "StageError"),
        (of_status(503, ClientAuthenticationError), "StageError"),
        (ServiceResponseTimeoutError("sig=secret"), "StageError"),
        (KeyError("sig=secret"), "StageError"),
        (RecursionError(), "StageError"),
        (of_status(401), "AuthDenied"),
        (of_status(403), "AuthDenied"),
        (of_status(404), "SourceNotFound"),
        (of_status(400), "InvalidInput"),
    ],
    ids=str,
)
def test_a_refusal_has_the_class_that_fits_it_and_repeats_nothing(
    error: Exception, failure: str
) -> None:
    with pytest.raises(StageFailure) as caught, said_in_words("the model"):
        raise error
    assert caught.value.failure is FailureClass(failure)
    assert str(caught.value).startswith("the model")
    assert "secret" not in str(caught.value)


def test_what_opens_a_container_is_not_shown_with_it() -> None:
    assert "secret" not in str(Storage("https://account", "container", "secret", "path"))
