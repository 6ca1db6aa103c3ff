"""Nobody begins anything while one of the watches that are needed is not followed."""

from typing import Any

from olive_operator.watch.cache import Cache
from olive_operator.watch.gate import NEEDED, Gate
from olive_operator.watch.informer import Watcher
from olive_operator.watch.kinds import WATCHED


class Story:
    """A gate with a watch of every kind in two namespaces, and what was told to hold."""

    def __init__(self) -> None:
        self.held: list[bool] = []
        self.gate = Gate(self.held.append)
        nobody: Any = None
        self.watchers = [
            Watcher(nobody, kind, where, Cache(), nobody, turned=self.gate.look)
            for kind in WATCHED.values()
            for where in ("ml", "nlp")
        ]
        self.gate.waits_for(self.watchers)

    def turn(self, follows: bool, *kinds: str, where: tuple[str, ...] = ("ml", "nlp")) -> None:
        for watcher in self.watchers:
            if watcher.kind.name in kinds and watcher._namespace in where:
                watcher._turn(follows)


def test_it_is_held_until_all_that_is_needed_is_followed() -> None:
    story = Story()
    assert (story.held, story.gate.open) == ([True], False)
    story.turn(True, *(NEEDED - {"Pod"}))
    story.turn(True, "Pod", where=("ml",))
    assert story.held == [True]
    story.turn(True, "Pod", where=("nlp",))
    assert (story.held, story.gate.open) == ([True, False], True)


def test_one_that_breaks_holds_and_says_which(caplog: Any) -> None:
    story = Story()
    story.turn(True, *NEEDED)
    story.turn(False, "Pod", where=("nlp",))
    story.turn(False, "Job")
    assert (story.held, story.gate.open) == ([True, False, True], False)
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        "no pass begins until the watch of Pod is back"
    ]
    story.turn(True, "Job", "Pod")
    assert story.held[-1] is False


def test_what_is_not_needed_holds_nobody_up() -> None:
    story = Story()
    story.turn(True, *NEEDED)
    story.turn(True, "HTTPRoute", "Service")
    story.turn(False, "HTTPRoute", "Service")
    assert story.held == [True, False]


def test_every_kind_that_is_needed_is_watched() -> None:
    assert WATCHED.keys() >= NEEDED
