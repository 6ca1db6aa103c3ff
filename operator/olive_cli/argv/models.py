"""The commands that speak to what a job serves."""

import os
from typing import TYPE_CHECKING

from olive_cli.argv.command import Arguments, Command, Parser, temperature, the_job, whole
from olive_cli.terminal.plain import plain

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster

KEY = "Where spec.serve.apiKeys asks for a key, it is taken from $OLIVE_API_KEY."
ONE = "default: the job's adapter if it has just one, base otherwise"


def _ask_takes(parser: Parser) -> None:
    the_job(parser)
    parser.add_argument("question", metavar="QUESTION")
    _manner_takes(parser, ONE)


def _ask(cluster: "Cluster", given: Arguments) -> int:
    from olive_cli.cluster.conversation import API_KEY, NO_KEY
    from olive_cli.commands.ask import Question, ask

    question = Question(
        text=given.question,
        model=given.model,
        system=given.system,
        max_tokens=given.max_tokens,
        temperature=given.temperature,
        api_key=os.environ.get(API_KEY) or NO_KEY,
    )
    for piece in ask(cluster, given.name, question):
        print(plain(piece), end="", flush=True)
    print()
    return 0


def _chat_takes(parser: Parser) -> None:
    the_job(parser)
    _manner_takes(parser, "default: as of ask; where there are several, you are asked")


def _chat(cluster: "Cluster", given: Arguments) -> int:
    from olive_cli.cluster.conversation import API_KEY, NO_KEY, Manner
    from olive_cli.commands.chat import chat

    key = os.environ.get(API_KEY) or NO_KEY
    manner = Manner(given.max_tokens, given.temperature, key)
    chat(cluster, given.name, given.model, given.system, manner)
    return 0


def _manner_takes(parser: Parser, default: str) -> None:
    parser.epilog = KEY
    parser.add_argument(
        "--model",
        metavar="base|ADAPTER",
        help=f"an adapter of the job, or base: the model without any; {default}",
    )
    parser.add_argument("--system", metavar="TEXT", help="a system message")
    parser.add_argument("--max-tokens", type=whole, default=128, metavar="N", help="default: 128")
    parser.add_argument(
        "--temperature", type=temperature, default=0.0, metavar="T", help="default: 0"
    )


SPEAKING = (
    Command("ask", "ask the served model a question and stream its answer", _ask_takes, _ask),
    Command("chat", "speak to the served model, line by line", _chat_takes, _chat),
)
