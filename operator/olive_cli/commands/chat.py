"""``kubectl olive chat``: a conversation with the served model, line by line."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from olive_cli.cluster.connection import Cluster
from olive_cli.cluster.conversation import Manner, Message, message, pieces
from olive_cli.cluster.forward import forwarded
from olive_cli.commands.ask import model_for, served
from olive_cli.errors import CliError, RefusedError
from olive_cli.job.view import Job, job
from olive_cli.terminal.plain import plain

HELP = "/model NAME speaks to another, /new begins anew, Ctrl-D ends"
YOU = "> "

Say = Callable[[str], None]
Answer = Callable[[str, Sequence[Message]], Iterator[str]]


@dataclass
class Chat:
    """``lines``: what a person types, one message a line. ``ask``: the model, given all so far."""

    models: Sequence[str]
    model: str
    ask: Answer
    say: Say
    system: str | None = None
    said: list[Message] = field(default_factory=list)

    def run(self, lines: Iterator[str]) -> None:
        """Until there are no more lines."""
        self.say(f"{self.model} of {', '.join(self.models)}; {HELP}\n")
        for line in lines:
            text = line.strip()
            if text.startswith("/"):
                self._command(text)
            elif text:
                self._turn(text)

    def _command(self, text: str) -> None:
        what, _, name = text.partition(" ")
        if what == "/new":
            self.said.clear()
            self.say("(it has forgotten what was said)\n")
        elif what == "/model" and name.strip() in self.models:
            self.model = name.strip()
            self.say(f"({self.model} goes on with what was said)\n")
        elif what == "/model":
            self.say(f"(served are {', '.join(self.models)})\n")
        else:
            self.say(f"({HELP})\n")

    def _turn(self, text: str) -> None:
        """A question and its answer; one that is refused, or cut short, is as if never asked."""
        question, told = message("user", text), []
        system = [message("system", self.system)] if self.system else []
        try:
            for piece in self.ask(self.model, [*system, *self.said, question]):
                told.append(piece)
                self.say(piece)
        except RefusedError as error:
            self.say(f"({error}; what was said may be too long: /new begins anew)\n")
            return
        except KeyboardInterrupt:
            self.say(" (stopped)\n")
            return
        self.say("\n")
        self.said += [question, message("assistant", "".join(told))]


def chat(
    cluster: Cluster, name: str, wanted: str | None, system: str | None, manner: Manner
) -> None:
    """Speak to the job's serving until the input ends."""
    found = job(cluster.found(name))
    models = served(found)
    model = model_for(found, wanted) if wanted or not _asks(models) else chosen(models, found)
    with forwarded(cluster.kubectl, cluster.namespace, f"{name}-serving") as url:

        def ask(of: str, messages: Sequence[Message]) -> Iterator[str]:
            return pieces(f"{url}/v1", of, messages, manner)

        Chat(models, model, ask, _say, system).run(typed())


def chosen(models: Sequence[str], found: Job) -> str:
    """The one that the person picks, by its name or its number."""
    for number, name in enumerate(models):
        _say(f"  {number}  {name}\n")
    default = models[1] if len(models) > 1 else models[0]
    try:
        text = input(f"which one [{default}]? ").strip()
    except EOFError:
        raise CliError("no model was chosen") from None
    if text.isdigit() and int(text) < len(models):
        return models[int(text)]
    return model_for(found, text or default)


def typed() -> Iterator[str]:
    """What is typed, with a prompt where a person sees it; Ctrl-D and Ctrl-C end it."""
    while True:
        try:
            yield input(YOU if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            if sys.stdin.isatty():
                _say("\n")
            return


def _asks(models: Sequence[str]) -> bool:
    """Whether there is a choice, and somebody to make it."""
    return len(models) > 2 and sys.stdin.isatty()


def _say(text: str) -> None:
    print(plain(text), end="", flush=True)
