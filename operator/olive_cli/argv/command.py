"""What a command of ``kubectl olive`` is, and the arguments that several of them take."""

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster

_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")

Parser = argparse.ArgumentParser
Arguments = argparse.Namespace


@dataclass(frozen=True)
class Command:
    """``takes`` adds its arguments; ``run`` carries it out and returns the exit code.

    ``run`` imports what it needs when it is called: a wrong command line is told at once.
    """

    name: str
    what: str
    takes: Callable[[Parser], None]
    run: Callable[["Cluster", Arguments], int]


def the_job(parser: Parser) -> None:
    """The one job that a command is about."""
    parser.add_argument("name", metavar="NAME", type=name, help="the OptimizationJob")


def common() -> Parser:
    """Where to look; every command takes these."""
    parser = Parser(add_help=False)
    parser.add_argument(
        "-n", "--namespace", type=namespace, help="default: that of the current context"
    )
    parser.add_argument("--context", help="the kubeconfig's context to use")
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: $KUBECONFIG, ~/.kube/config")
    return parser


def name(text: str) -> str:
    """A name as Kubernetes has them; an empty one is a script's variable that was not set."""
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name: a-z, 0-9, '-' and '.'")
    return text


def namespace(text: str) -> str:
    """A name, or nothing: then it is the context's, as kubectl has it."""
    return name(text) if text else text


def whole(text: str) -> int:
    """A whole number of 1 or more."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def temperature(text: str) -> float:
    """A number that a model takes as its temperature."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 2")
    return value
