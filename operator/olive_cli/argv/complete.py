"""kubectl_complete-olive: what may stand at the cursor, for kubectl's completion and for shells.

A word is completed by the name of the argument that it would be (``NAME``, ``STAGE``, ``--of`` …),
so that a command needs to say nothing about it.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from olive_cli.argv.names import Names, of_the_cluster
from olive_cli.argv.parser import parser

FILES = 0
"""cobra's ShellCompDirectiveDefault: the shell completes files."""
NO_FILES = 4
"""cobra's ShellCompDirectiveNoFileComp."""
EQUALS = "="
"""A word of its own in bash, where it stands between an option and its value."""


@dataclass(frozen=True)
class Completion:
    """Words, each with a description or none, and what the shell is to do beside."""

    words: Sequence[tuple[str, str]]
    directive: int = NO_FILES


def main() -> None:
    """Answer for the words behind ``kubectl olive``, the last of which is being typed."""
    try:
        found = complete(sys.argv[1:], parser(), of_the_cluster())
    except (Exception, KeyboardInterrupt):
        found = Completion(())  # whatever it is: a prompt is no place to say so
    print(answer(found))


def complete(
    typed: Sequence[str], parser: argparse.ArgumentParser, names: Mapping[str, Names]
) -> Completion:
    """The words for the last of those typed. ``names``: what an argument may be, by its name."""
    *before, word = typed or [""]
    word = "" if word == EQUALS else word
    commands = _commands(parser)
    if not before:
        helps = {a.dest: a.help or "" for a in _choices(parser)}
        return _starting(word, [(name, helps.get(name, "")) for name in commands])
    if before[0] not in commands:
        return Completion(())
    given, positional, option = _walk(commands[before[0]], before[1:])
    if option is None and word.startswith("-"):
        return _starting(word, list(_flags(commands[before[0]])))
    action = option or positional
    if action is None:
        return Completion(())
    if action.metavar == "FILE":
        return Completion((), FILES)
    if action.choices:
        return _starting(word, [(str(choice), "") for choice in action.choices])
    if action.dest not in names:
        return Completion(())
    return _starting(word, [(name, "") for name in names[action.dest](given)])


def answer(found: Completion) -> str:
    """As cobra's ``__complete`` writes it."""
    lines = [f"{word}\t{what}" if what else word for word, what in found.words]
    return "\n".join([*lines, f":{found.directive}"])


def _walk(
    parser: argparse.ArgumentParser, words: Sequence[str]
) -> tuple[argparse.Namespace, argparse.Action | None, argparse.Action | None]:
    """What was given, the positional that comes next, and the option that waits for its value."""
    given = argparse.Namespace(kubeconfig=None, context=None, namespace=None, name="")
    options = {flag: a for a in parser._actions for flag in a.option_strings}
    positionals = [a for a in parser._actions if not a.option_strings]
    waiting: argparse.Action | None = None
    for word in words:
        flag, equals, value = word.partition("=")
        if waiting and word == EQUALS:
            continue
        if waiting:
            setattr(given, waiting.dest, word)
            waiting = None
        elif flag in options:
            takes = options[flag].nargs != 0
            if equals:
                setattr(given, options[flag].dest, value)
            waiting = options[flag] if takes and not equals else None
        elif positionals:
            setattr(given, positionals.pop(0).dest, word)
    return given, positionals[0] if positionals else None, waiting


def _flags(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in parser._actions:
        if action.option_strings:
            yield action.option_strings[-1], action.help or ""


def _commands(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    found = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return {a.dest: found.choices[a.dest] for a in found._choices_actions}


def _choices(parser: argparse.ArgumentParser) -> Sequence[argparse.Action]:
    found = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return found._choices_actions


def _starting(word: str, known: Sequence[tuple[str, str]]) -> Completion:
    return Completion([(name, what) for name, what in known if name.startswith(word)])


if __name__ == "__main__":
    main()
