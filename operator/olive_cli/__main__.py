"""argv: ``kubectl olive COMMAND``, or ``kubectl-olive COMMAND``."""

import argparse
import os
import sys
from collections.abc import Sequence

from olive_cli.errors import CliError


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 if all is well, 1 if not, 2 if the command line is wrong."""
    arguments = _parser().parse_args(argv)
    try:
        sys.exit(_run(arguments))
    except CliError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(arguments: argparse.Namespace) -> int:
    # Each command imports what it needs: a wrong command line is told at once.
    from olive_cli.cluster import Cluster

    cluster = Cluster.connect(arguments.kubeconfig, arguments.context, arguments.namespace)
    if arguments.command == "watch":
        from olive_cli.watch import watch

        return watch(cluster, arguments.name, arguments.timeout)
    if arguments.command != "ask":
        from olive_cli.change import change

        print(change(cluster, arguments.name, arguments.command))
        return 0
    from olive_cli.ask import API_KEY, NO_KEY, Question, ask

    question = Question(
        text=arguments.question,
        model=arguments.model,
        system=arguments.system,
        max_tokens=arguments.max_tokens,
        temperature=arguments.temperature,
        api_key=os.environ.get(API_KEY) or NO_KEY,
    )
    for piece in ask(cluster, arguments.name, question):
        print(piece, end="", flush=True)
    print()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubectl olive",
        description="Follow an OptimizationJob, steer it, and ask what it serves.",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("name", metavar="NAME", help="the OptimizationJob")
    common.add_argument("-n", "--namespace", help="default: that of the current context")
    common.add_argument("--context", help="the kubeconfig's context to use")
    common.add_argument("--kubeconfig", metavar="FILE", help="default: $KUBECONFIG, ~/.kube/config")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, what: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=what, description=what, parents=[common])

    watch = command("watch", "follow a job until it is Ready (exit 0) or stalled (exit 1)")
    watch.add_argument(
        "--timeout", type=_whole, metavar="S", help="give up after S seconds; default: never"
    )
    command("retry", "try again what has failed, with a fresh count of failures")
    command("suspend", "run nothing of a job until it is resumed; what is served stays")
    command("resume", "let a suspended job go on")
    ask = command("ask", "ask the served model a question and stream its answer")
    ask.epilog = "Where spec.serve.apiKeys asks for a key, it is taken from $OLIVE_API_KEY."
    ask.add_argument("question", metavar="QUESTION")
    ask.add_argument(
        "--model",
        metavar="base|ADAPTER",
        help="an adapter of the job, or base: the model without any; "
        "default: the job's adapter if it has just one, base otherwise",
    )
    ask.add_argument("--system", metavar="TEXT", help="a system message")
    ask.add_argument("--max-tokens", type=_whole, default=128, metavar="N", help="default: 128")
    ask.add_argument(
        "--temperature", type=_temperature, default=0.0, metavar="T", help="default: 0"
    )
    return parser


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _temperature(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 2")
    return value


if __name__ == "__main__":
    main()
