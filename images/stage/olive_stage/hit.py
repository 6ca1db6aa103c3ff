"""What is in the store already is not made again; what is damaged there is."""

from olive_contract.artifact import Artifact
from olive_contract.failures import StageFailure
from olive_contract.store import Store
from olive_stage.console import say


def find_whole(store: Store, key: str) -> Artifact | None:
    """The artifact if it is there and undamaged; a damaged one is taken away, to be made again."""
    if not store.path(key).exists():
        return None
    try:
        return store.open(key)
    except StageFailure as failure:
        say(f"{failure}; making it again")
        store.discard(key)
        return None
