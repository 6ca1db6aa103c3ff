"""Exceptions to failure classes, which the retry policy decides by, in words for the author."""

import errno
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.words import readable

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FULL_TEXTS = (
    "no space left on device",  # also safetensors and ONNX Runtime, which wrap the errno in text
    "disk quota exceeded",
    "os error 28",
    "os error 122",
    "pytorchstreamwriter failed writing",  # torch.save tells no errno
)
GPU_MEMORY_TEXTS = ("cuda out of memory", "cublas_status_alloc_failed")
MEMORY_TEXTS = (
    "std::bad_alloc",
    "defaultcpuallocator: can't allocate memory",
    "cannot allocate memory",
    "os error 12",
)
GPU_FAULT_TEXTS = ("cuda error", "cudnn_status_internal_error", "nccl error")
TAIL_LINES = 5


class Cancelled(BaseException):
    """SIGTERM: not an Exception, so that no library swallows it."""


def failure_of(
    error: BaseException, *, root: Path, needed: int = 0, tail: Sequence[str] = ()
) -> StageFailure:
    """The failure that ``error`` means.

    ``root`` is the store's; ``needed`` about how many bytes the stage writes (0: not known);
    ``tail`` the log's last lines.
    """
    chain = tuple(_chain(error))
    for link in chain:
        if isinstance(link, StageFailure):
            return link
    if isinstance(error, Cancelled | KeyboardInterrupt):
        return StageFailure(FailureClass.CANCELLED, "the attempt was told to stop (SIGTERM)")
    if any(map(_is_full, chain)):
        return StageFailure(FailureClass.DISK_FULL, _full_message(root, needed))
    for failure, wanted in (
        (FailureClass.GPU_OUT_OF_MEMORY, _is_gpu_memory),
        (FailureClass.OUT_OF_MEMORY, _is_memory),
        (FailureClass.GPU_FAULT, _is_gpu_fault),
    ):
        for link in chain:
            if wanted(link):
                return StageFailure(failure, _first_line(link))
    message = f"{type(error).__name__}: {error}"
    if tail:
        message += "\nlast lines of the log:\n" + "\n".join(tuple(tail)[-TAIL_LINES:])
    return StageFailure(FailureClass.STAGE_ERROR, message)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, then all that it was raised from or while handling, each once."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [e for e in (link.__cause__, link.__context__) if e is not None]
        if isinstance(link, BaseExceptionGroup):
            waiting += link.exceptions


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    return _says(error, FULL_TEXTS)


def _is_gpu_memory(error: BaseException) -> bool:
    kind = type(error)
    torch_own = kind.__name__ == "OutOfMemoryError" and kind.__module__.startswith("torch")
    return torch_own or _says(error, GPU_MEMORY_TEXTS)


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno == errno.ENOMEM
    ):
        return True
    return _says(error, MEMORY_TEXTS)


def _is_gpu_fault(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and _says(error, GPU_FAULT_TEXTS)


def _says(error: BaseException, texts: Sequence[str]) -> bool:
    said = str(error).lower()
    return any(text in said for text in texts)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _full_message(root: Path, needed: int) -> str:
    """Which file system is full, its free bytes, and about what the stage writes."""
    temporary = Path(tempfile.gettempdir())
    free = {"the claim": shutil.disk_usage(root).free}
    if temporary.stat().st_dev != root.stat().st_dev:
        free["the pod's temporary folder"] = shutil.disk_usage(temporary).free
    text = " and ".join(f"{place} has {readable(size)} free" for place, size in free.items())
    return text + (f"; this stage needs about {readable(needed)}" if needed else "")
