"""Why an attempt did not succeed, as data: the classes that the retry policy decides by."""

from enum import StrEnum


class FailureClass(StrEnum):
    """One word per cause; the message beside it says what, where and what to do."""

    GPU_OUT_OF_MEMORY = "GPUOutOfMemory"
    OUT_OF_MEMORY = "OutOfMemory"
    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    GPU_FAULT = "GPUFault"
    IMAGE_PULL = "ImagePull"
    AUTH_DENIED = "AuthDenied"
    SOURCE_NOT_FOUND = "SourceNotFound"
    INVALID_INPUT = "InvalidInput"
    INPUT_MISSING = "InputMissing"
    """An artifact that the store's records name is not on the volume, or is damaged."""
    DISK_FULL = "DiskFull"
    TIMEOUT = "Timeout"
    CANCELLED = "Cancelled"
    STAGE_ERROR = "StageError"


class StageFailure(Exception):  # noqa: N818 - the design's word is failure
    """A stage cannot go on; ``failure`` is the class, the text is for the person who wrote the job.

    ``missing`` names the artifact key for INPUT_MISSING.
    """

    def __init__(self, failure: FailureClass, message: str, *, missing: str = "") -> None:
        super().__init__(message)
        self.failure = failure
        self.missing = missing
