"""Which adapters to load, to offer and to drop: pure functions of what is wanted and there."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from olive_contract.serving import ServedAdapter


@dataclass(frozen=True)
class Failure:
    """Why an adapter of this key did not load, and when that was found (monotonic seconds)."""

    message: str
    at: float


@dataclass(frozen=True)
class AdapterPlan:
    """What to do next. ``routes``: the name in the API → the key that answers to it."""

    load: tuple[ServedAdapter, ...]
    routes: dict[str, str]
    unload: frozenset[str]


def plan(
    wanted: tuple[ServedAdapter, ...],
    loaded: frozenset[str],
    routes: Mapping[str, str],
    failures: Mapping[str, Failure],
    *,
    now: float,
    retry: float,
) -> AdapterPlan:
    """From the routes so far to the wanted ones.

    A name whose new key is not loaded yet goes on with its old one, so that a replacement refuses
    no request. A key that failed is tried again after ``retry`` seconds.
    """
    new_routes = {}
    for adapter in wanted:
        key = adapter.key if adapter.key in loaded else routes.get(adapter.name)
        if key in loaded and key is not None:
            new_routes[adapter.name] = key
    due = [
        adapter
        for adapter in wanted
        if adapter.key not in loaded
        and (adapter.key not in failures or now - failures[adapter.key].at >= retry)
    ]
    needed = {a.key for a in wanted} | set(new_routes.values())
    return AdapterPlan(tuple(due), new_routes, loaded - needed)


@dataclass(frozen=True)
class AdapterStatus:
    """An adapter as the file names it. ``serving`` is the key that answers now, maybe an older."""

    name: str
    key: str
    state: Literal["loaded", "loading", "failed"]
    serving: str | None
    message: str

    def body(self) -> dict[str, Any]:
        return asdict(self)


def status_of(
    adapter: ServedAdapter, routes: Mapping[str, str], failures: Mapping[str, Failure]
) -> AdapterStatus:
    """How far the server is with this adapter."""
    serving, failure = routes.get(adapter.name), failures.get(adapter.key)
    if serving == adapter.key:
        return AdapterStatus(adapter.name, adapter.key, "loaded", serving, "")
    state: Literal["loading", "failed"] = "failed" if failure else "loading"
    message = failure.message if failure else ""
    return AdapterStatus(adapter.name, adapter.key, state, serving, message)
