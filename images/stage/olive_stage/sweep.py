"""Sweeping a store: the artifacts that nothing refers to, and what attempts have left half-made.

No stage: it makes nothing, and its pod is told what to remove. Whatever stops it, it is run again
with the same list, and comes to the same end.
"""

from datetime import datetime
from pathlib import Path

from olive_contract.failures import FailureClass
from olive_contract.keys import KEY_LENGTH
from olive_contract.stage import Report
from olive_contract.store import Store
from olive_contract.sweep import Sweep
from olive_stage.console import say
from olive_stage.failing import failure_of
from olive_stage.resumable import PREFIX, forget
from olive_stage.words import printable


def run(text: str) -> Report:
    """Carry out the sweep that ``text`` (JSON) asks for; never raises."""
    try:
        what = Sweep.from_json(text)
    except ValueError as error:
        message = f"the sweep's input cannot be read: {error}"
        return Report(outcome="Failed", reason=FailureClass.INVALID_INPUT, message=message)
    store = Store(Path(what.store))
    try:
        for key in what.keys:
            store.remove(key)
            say(f"removed {key}")
        cleared = clear(store, what)
    except OSError as error:
        failure = failure_of(error, root=store.root)
        message = printable(str(failure))
        return Report(outcome="Failed", reason=failure.failure, message=message)
    message = f"{len(what.keys)} artifacts and {cleared} leftovers removed"
    return Report(outcome="Succeeded", message=message)


def clear(store: Store, what: Sweep) -> int:
    """Remove what was left half-made and is old enough; how many of it.

    What cannot be removed stays, and nothing waits for it.
    """
    if not what.before:
        return 0
    cleared = 0
    for leftover in store.leftovers(datetime.fromisoformat(what.before).timestamp()):
        if leftover.name[:KEY_LENGTH] in what.keep:  # in .building more stands behind the key
            continue
        try:
            forget_or_clear(store, leftover)
        except OSError as error:
            say(f"{leftover.name} cannot be removed: {error}")
        cleared += not leftover.exists()
    return cleared


def forget_or_clear(store: Store, leftover: Path) -> None:
    """Remove it; but what a fetch has brought so far only while no fetch is at it."""
    if leftover.parent.name == ".scratch" and leftover.name.startswith(PREFIX):
        forget(store, leftover.name.removeprefix(PREFIX))
    else:
        store.clear(leftover)
