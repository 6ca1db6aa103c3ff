"""Exceptions as libraries raise them, to the class that the retry policy decides by."""

import errno
from pathlib import Path

import pytest

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.failing import Cancelled, failure_of
from olive_stage.words import readable


class OutOfMemoryError(RuntimeError):
    """Named and placed as torch's own."""


OutOfMemoryError.__module__ = "torch"


def wrapped(cause: BaseException) -> Exception:
    """A library's exception that was raised while handling ``cause``."""
    try:
        try:
            raise cause
        except BaseException:
            raise ValueError("something else") from None
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        pytest.param(OSError(errno.ENOSPC, "x"), FailureClass.DISK_FULL, id="ENOSPC"),
        pytest.param(OSError(errno.EDQUOT, "x"), FailureClass.DISK_FULL, id="EDQUOT"),
        pytest.param(wrapped(OSError(errno.ENOSPC, "x")), FailureClass.DISK_FULL, id="wrapped"),
        pytest.param(
            ExceptionGroup("g", [OSError(errno.ENOSPC, "x")]), FailureClass.DISK_FULL, id="group"
        ),
        pytest.param(
            Exception("I/O error: No space left on device (os error 28)"),
            FailureClass.DISK_FULL,
            id="safetensors",
        ),
        pytest.param(
            RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
            FailureClass.DISK_FULL,
            id="torch.save",
        ),
        pytest.param(
            OutOfMemoryError("Tried to allocate 2 GiB"), FailureClass.GPU_OUT_OF_MEMORY, id="torch"
        ),
        pytest.param(
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
            FailureClass.GPU_OUT_OF_MEMORY,
            id="cublas",
        ),
        pytest.param(MemoryError(), FailureClass.OUT_OF_MEMORY, id="MemoryError"),
        pytest.param(OSError(errno.ENOMEM, "x"), FailureClass.OUT_OF_MEMORY, id="ENOMEM"),
        pytest.param(RuntimeError("std::bad_alloc"), FailureClass.OUT_OF_MEMORY, id="bad_alloc"),
        pytest.param(
            RuntimeError("CUDA error: uncorrectable ECC error encountered"),
            FailureClass.GPU_FAULT,
            id="ECC",
        ),
        pytest.param(Cancelled(), FailureClass.CANCELLED, id="SIGTERM"),
        pytest.param(KeyboardInterrupt(), FailureClass.CANCELLED, id="SIGINT"),
        pytest.param(KeyError("x"), FailureClass.STAGE_ERROR, id="anything else"),
        pytest.param(
            OSError(errno.EACCES, "denied"), FailureClass.STAGE_ERROR, id="another OSError"
        ),
    ],
)
def test_class(error: BaseException, failure: FailureClass, tmp_path: Path) -> None:
    assert failure_of(error, root=tmp_path).failure is failure


def test_a_full_disk_says_how_much_is_free_and_how_much_is_needed(tmp_path: Path) -> None:
    failure = failure_of(OSError(errno.ENOSPC, "x"), root=tmp_path, needed=3 * 2**30)
    assert "the claim has " in str(failure)
    assert " free; this stage needs about 3.0 GiB" in str(failure)


def test_an_unknown_error_carries_the_logs_last_lines(tmp_path: Path) -> None:
    failure = failure_of(KeyError("weight"), root=tmp_path, tail=[f"line {n}" for n in range(9)])
    assert str(failure).startswith("KeyError: 'weight'")
    assert str(failure).endswith("line 7\nline 8")
    assert "line 2" not in str(failure)


def test_a_failure_inside_a_library_keeps_its_own_class_and_words(tmp_path: Path) -> None:
    own = StageFailure(FailureClass.INPUT_MISSING, "gone", missing="abc")
    assert failure_of(wrapped(own), root=tmp_path) is own


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 2**40, "3.0 TiB")]
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert readable(size) == text
