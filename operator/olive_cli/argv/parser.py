"""Every command, and the parser of the whole command line."""

from typing import Final

from olive_cli.argv.command import Command, Parser, common
from olive_cli.argv.jobs import LOOKING, STEERING
from olive_cli.argv.models import SPEAKING
from olive_cli.argv.shells import SCRIPTS
from olive_cli.argv.stores import KEEPING

COMMANDS: Final[dict[str, Command]] = {
    command.name: command for command in (*LOOKING, *STEERING, *SPEAKING, *KEEPING)
}
COMPLETION: Final = "completion"
"""The command that needs no cluster."""


def parser() -> Parser:
    """Of ``kubectl olive``."""
    whole = Parser(
        prog="kubectl olive",
        description="See what an OptimizationJob does and would do, steer it, "
        "and speak to what it serves.",
    )
    added = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS.values():
        what = command.what
        command.takes(
            added.add_parser(command.name, help=what, description=what, parents=[common()])
        )
    what = "a script that completes the words of kubectl-olive; kubectl olive needs none"
    shells = added.add_parser(COMPLETION, help=what, description=what)
    shells.add_argument("shell", choices=tuple(SCRIPTS))
    return whole
