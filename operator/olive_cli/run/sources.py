"""What every fetch's request was found to be, kept in the store's folder for the next run.

``.sources/<request>`` holds the key of the content, and for files on this machine what they looked
like: a file that has changed since is fetched again.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from olive_contract.keys import digest
from olive_contract.params import FetchParams
from olive_operator.api.stage import Stage
from olive_operator.api.status import Source
from olive_operator.plan.keys import addresses


class Sources:
    """The remembered sources of these stages. ``claims``: folders by the claim they stand for."""

    def __init__(self, store: Path, stages: Sequence[Stage], claims: Mapping[str, Path]) -> None:
        self._folder = store / ".sources"
        # As they look before anything is fetched: a change during the fetch is seen the next time.
        self._looks = {
            address.name: _look(stage.params.source, claims)
            for stage in stages
            if isinstance(stage.params, FetchParams)
            and (address := addresses([stage], {})[stage.name])
        }
        self._known: dict[str, str] = {}

    def load(self) -> tuple[Source, ...]:
        """Those that are known, and still true as far as this machine can tell."""
        self._known = dict(self._read())
        return tuple(Source(request, key) for request, key in self._known.items())

    def keep(self, found: Sequence[Source]) -> None:
        """Remember what is new, each in a file of its own: runs do not get in each other's way."""
        for source in found:
            if self._known.get(source.request) == source.key or source.request not in self._looks:
                continue
            self._folder.mkdir(exist_ok=True)
            body = {"key": source.key, "look": self._looks[source.request]}
            handle, path = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(handle, "w") as file:
                json.dump(body, file)
            os.replace(path, self._folder / source.request)
            self._known[source.request] = source.key

    def _read(self) -> Iterator[tuple[str, str]]:
        for request, look in self._looks.items():
            try:
                body = json.loads((self._folder / request).read_text())
                if body["look"] == look:
                    yield request, body["key"]
            except (OSError, ValueError, KeyError, TypeError):
                continue  # not known, or unreadable: it is looked up again


def _look(source: str, claims: Mapping[str, Path]) -> str:
    """The digest of names, sizes and times of a source on this machine; empty for any other."""
    if not source.startswith("pvc://"):
        return ""
    claim, _, path = source.removeprefix("pvc://").partition("/")
    if claim not in claims:
        return ""
    root = (claims[claim] / path).resolve()
    files = sorted(root.iterdir()) if root.is_dir() else [root] if root.exists() else []
    return digest([[str(f), f.stat().st_size, f.stat().st_mtime_ns] for f in files if f.exists()])
