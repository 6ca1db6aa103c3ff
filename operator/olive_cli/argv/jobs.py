"""The commands that look at jobs, and those that steer them."""

from typing import TYPE_CHECKING

from olive_cli.argv.command import Arguments, Command, Parser, name, the_job, whole
from olive_cli.errors import WrongInputError
from olive_cli.terminal.plain import plain

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster


def _status_takes(parser: Parser) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        type=name,
        help="the OptimizationJob; default: a table of all",
    )
    parser.add_argument(
        "-A", "--all-namespaces", action="store_true", help="the jobs of all namespaces"
    )
    parser.add_argument("-w", "--watch", action="store_true", help="follow it, as watch NAME does")


def _status(cluster: "Cluster", given: Arguments) -> int:
    from olive_cli.commands.status import status

    if given.watch:
        from olive_cli.commands.watch import watch

        if given.name is None or given.all_namespaces:
            raise WrongInputError("--watch follows one job: give its NAME, with -n")
        return watch(cluster, given.name, None)
    return status(cluster, given.name, given.all_namespaces)


def _watch_takes(parser: Parser) -> None:
    the_job(parser)
    parser.add_argument(
        "--timeout", type=whole, metavar="S", help="give up after S seconds; default: never"
    )


def _watch(cluster: "Cluster", given: Arguments) -> int:
    from olive_cli.commands.watch import watch

    return watch(cluster, given.name, given.timeout)


def _why(cluster: "Cluster", given: Arguments) -> int:
    from olive_cli.commands.why import why

    for line in why(cluster, given.name):
        print(plain(line))
    return 0


def _logs_takes(parser: Parser) -> None:
    the_job(parser)
    parser.add_argument("stage", metavar="STAGE", help="a stage of the job, such as quantize")
    parser.add_argument("-f", "--follow", action="store_true", help="until the pod ends")


def _logs(cluster: "Cluster", given: Arguments) -> int:
    from olive_cli.commands.logs import logs

    for line in logs(cluster, given.name, given.stage, given.follow):
        print(line, flush=given.follow)
    return 0


def _diff_takes(parser: Parser) -> None:
    parser.add_argument(
        "-f", "--filename", metavar="FILE", required=True, help="the manifest; -: standard input"
    )


def _diff(cluster: "Cluster", given: Arguments) -> int:
    from olive_cli.commands.diff import diff

    return diff(cluster, given.filename, given.namespace)


def _change(cluster: "Cluster", given: Arguments) -> int:
    from olive_cli.commands.change import change

    print(plain(change(cluster, given.name, given.command)))
    return 0


LOOKING = (
    Command("status", "one look at a job, or at all jobs of a namespace", _status_takes, _status),
    Command(
        "watch",
        "follow a job until it is Ready (exit 0) or stalled (exit 1)",
        _watch_takes,
        _watch,
    ),
    Command("why", "what a job waits for, or why it has failed, and what to do", the_job, _why),
    Command("logs", "the log of a stage: of its running or its last attempt", _logs_takes, _logs),
    Command(
        "diff",
        "what applying a manifest would run, and at what cost (exit 0: nothing, 1: something)",
        _diff_takes,
        _diff,
    ),
)
STEERING = (
    Command("retry", "try again what has failed, with a fresh count of failures", the_job, _change),
    Command(
        "suspend",
        "run nothing of a job until it is resumed; what is served stays",
        the_job,
        _change,
    ),
    Command("resume", "let a suspended job go on", the_job, _change),
)
