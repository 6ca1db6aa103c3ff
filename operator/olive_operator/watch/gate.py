"""No pass begins while what was done, or what is in use, may not be known.

Where one of these watches is broken, a Job that has ended may have no pod that says what it made:
it would look as if it were still to be done.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from olive_operator.watch.informer import Watcher

log = logging.getLogger("olive.gate")

NEEDED: Final = frozenset({"Artifact", "ConfigMap", "Job", "Pod"})
"""Kinds in which it stands what was done, and what servings use."""


class Gate:
    """``hold`` is told whether to wait, at the start and whenever that changes."""

    def __init__(self, hold: Callable[[bool], None]) -> None:
        self._hold = hold
        self._watchers: Sequence[Watcher] = ()
        self.open = False
        hold(True)

    def waits_for(self, watchers: Sequence[Watcher]) -> None:
        """These, as far as they are needed, have to be followed."""
        self._watchers = [w for w in watchers if w.kind.name in NEEDED]

    def look(self) -> None:
        """A watch has begun to be followed, or is not any more."""
        missing = sorted({w.kind.name for w in self._watchers if not w.follows.is_set()})
        if self.open == (not missing):
            return
        self.open = not missing
        if missing:
            log.warning("no pass begins until the watch of %s is back", ", ".join(missing))
        else:
            log.info("everything that is needed is watched")
        self._hold(not self.open)
