"""What ends a command, and the exit code that it ends with; printed without a traceback."""

from typing import ClassVar

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of SIGINT, as of any program."""
CLOSED = 141
"""Exit code where nobody reads any more (a pipe into ``head``): 128 and the number of SIGPIPE."""


DEFECT = 70
"""Exit code where this program itself is wrong, with its traceback: EX_SOFTWARE of sysexits.h."""


class CliError(Exception):
    """What is wrong, where, and what to do about it, in a sentence."""

    code: ClassVar[int] = 1


class WrongInputError(CliError):
    """What was typed, or the file that was given, is wrong."""

    code = 2


class AbsentError(CliError):
    """There is no such job, stage, pod or kind of object."""

    code = 3


class NoSuchJobError(AbsentError):
    """The kind is there, and no job of that name."""


class ForbiddenError(CliError):
    """The person may not do that."""

    code = 4


class NoClusterError(CliError):
    """There is no cluster to ask, no kubectl to go there, or no answer."""

    code = 5


class RefusedError(CliError):
    """What was asked, the API server or the served model does not take."""

    code = 6


def no_kubectl(error: OSError) -> NoClusterError:
    """kubectl, which goes the rest of the way, cannot be run."""
    if isinstance(error, FileNotFoundError):
        return NoClusterError("kubectl is not on the PATH; it is needed for this command")
    return NoClusterError(f"kubectl cannot be run: {error.strerror}")
