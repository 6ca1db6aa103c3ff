"""argv: ``olive-operator run JOB.yaml``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from olive_cli.errors import CliError


def main(argv: Sequence[str] | None = None) -> None:
    """Run a job and exit: 0 if all is well, 1 if not, 2 if the command line is wrong."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.serve and arguments.until:
        parser.error("--serve needs the whole job, and --until stops before its end")
    from olive_cli.run.command import run  # a wrong command line is told at once

    try:
        sys.exit(run(arguments))
    except CliError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="olive-operator", description="OptimizationJobs on this machine, without a cluster."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    what = "carry out the OptimizationJob of a manifest; run again, it goes on where it was"
    run = commands.add_parser("run", help=what, description=what)
    add = run.add_argument
    add("job", type=Path, metavar="JOB.yaml", help="the manifest, as for kubectl apply")
    add(
        "--store",
        type=Path,
        default=Path("olive-store"),
        metavar="DIR",
        help="the folder of artifacts, shared by all jobs that name it; default: ./olive-store",
    )
    add("--until", metavar="STAGE", help="only this stage and those it needs: quantize, export, …")
    add("--dry-run", action="store_true", help="say what would be done, and do nothing")
    add(
        "--serve",
        type=_port,
        nargs="?",
        const=8080,
        metavar="PORT",
        help="at the end serve it on localhost until Ctrl-C; default port: 8080",
    )
    add(
        "--claim",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="the folder that pvc://NAME/… stands for",
    )
    add(
        "--secret",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VARIABLE|FILE",
        help="what secretRef NAME stands for: the environment variable with the token, "
        "or a file of KEY=VALUE lines",
    )
    add("--gpus", type=_count, metavar="N", help="use so many GPUs at most; default: all")
    add("--json", action="store_true", help="end with one line of JSON about every stage")
    add("--stage-python", type=Path, metavar="PATH", help="the Python that has olive_stage")
    add("--serve-python", type=Path, metavar="PATH", help="the Python that has olive_serve")
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=…")
    return name, value


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _port(text: str) -> int:
    if not 0 < _count(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


if __name__ == "__main__":
    main()
