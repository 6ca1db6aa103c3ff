"""The commands that look at what is kept."""

from typing import TYPE_CHECKING

from olive_cli.argv.command import Arguments, Command, Parser, name

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster


def _claim_takes(parser: Parser) -> None:
    parser.add_argument("--claim", type=name, help="of this claim's store only; default: of all")


def _artifacts_takes(parser: Parser) -> None:
    _claim_takes(parser)
    what = "those that this OptimizationJob refers to"
    parser.add_argument("--of", metavar="JOB", type=name, help=what)


def _artifacts(cluster: "Cluster", given: Arguments) -> int:
    from olive_cli.commands.artifacts import artifacts

    return artifacts(cluster, given.claim, given.of)


def _gc(cluster: "Cluster", given: Arguments) -> int:
    from olive_cli.commands.gc import gc

    return gc(cluster, given.claim)


KEEPING = (
    Command("artifacts", "what the stores hold, and what it cost", _artifacts_takes, _artifacts),
    Command("gc", "what is unused, and when the operator removes it", _claim_takes, _gc),
)
