"""argv: ``kubectl olive COMMAND``, or ``kubectl-olive COMMAND``."""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from olive_cli.argv.parser import COMMANDS, COMPLETION, parser
from olive_cli.argv.shells import SCRIPTS
from olive_cli.errors import CLOSED, DEFECT, INTERRUPTED, CliError, RefusedError
from olive_cli.terminal.plain import one_line


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit; docs/kubectl-olive.md has the exit codes."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # what fails is told, once, as an error
    sys.exit(_code(list(sys.argv[1:] if argv is None else argv)))


def _code(argv: list[str]) -> int:
    try:
        code = _run(argv)
        if sys.stdout:  # closed by the caller (>&-): there is nothing to flush, and nothing wrong
            sys.stdout.flush()
    except CliError as error:
        return _told(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return CLOSED
    except OSError as error:  # of the output: whatever else may fail, its command tells
        _forget_stdout()
        return _told(RefusedError(f"{error.strerror or error}"))
    except Exception:
        traceback.print_exc()
        return DEFECT
    return code


def _run(argv: list[str]) -> int:
    given = parser().parse_args(argv)
    if given.command == COMPLETION:
        print(SCRIPTS[given.shell], end="")
        return 0
    # Imported here: a wrong command line is told at once.
    from olive_cli.cluster.connection import Cluster

    cluster = Cluster.connect(given.kubeconfig, given.context, given.namespace)
    with _in_order():
        return COMMANDS[given.command].run(cluster, given)


@contextmanager
def _in_order() -> Iterator[None]:
    """A signal ends it as an error would: the port that is forwarded is closed. nohup stays so."""
    ours = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _told(error: CliError) -> int:
    print(f"error: {one_line(str(error))}", file=sys.stderr)
    return error.code


def _forget_stdout() -> None:
    """Or the interpreter would find the pipe closed when it flushes, and say so."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
