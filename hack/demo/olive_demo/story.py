"""The job: applied, followed to its end, and asked a question with and without its adapter."""

import time

from olive_cli.cluster.follow import follow
from olive_cli.commands.ask import BASE, Question, ask
from olive_cli.commands.watch import show
from olive_cli.errors import CliError
from olive_cli.job import words
from olive_cli.job.view import Job
from rich.console import Console

from olive_demo.answers import QUESTION, Answers, expected
from olive_demo.install import DEMO
from olive_demo.model import EXAMPLE
from olive_demo.shell import ROOT, DemoError, Tell
from olive_demo.target import Target

MANIFEST = ROOT / "examples" / "travel-tiny.yaml"
NAME, ADAPTER = "travel-tiny", "travel"
PATIENCE = 1200.0


def carry_out(target: Target, tell: Tell) -> Job:
    """Apply the job and follow it until it is Ready, as `kubectl olive watch` does."""
    tell(target.kubectl("apply", "-n", DEMO, "-f", MANIFEST).strip())
    stream = target.cluster(DEMO).job(NAME)
    try:
        found = show(follow(stream, PATIENCE, time.monotonic, time.sleep), Console(highlight=False))
    except CliError as error:
        raise DemoError(f"optimizationjob {DEMO}/{NAME}: {error}") from None
    if found.verdict is None or not found.verdict.ok:
        raise DemoError(words.outcome(found))
    return found


def question(target: Target) -> Answers:
    """The same question, asked of the model without its adapter and with it."""
    return Answers(
        QUESTION,
        expected(EXAMPLE / "travel.jsonl"),
        base=_ask(target, BASE),
        adapter=_ask(target, ADAPTER),
    )


def _ask(target: Target, model: str) -> str:
    try:
        return "".join(ask(target.cluster(DEMO), NAME, Question(QUESTION, model))).strip()
    except CliError as error:
        raise DemoError(str(error)) from None
