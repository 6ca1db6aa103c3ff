"""The graph of a job's stages as a tree in a column of text: pure.

A stage stands below the deepest of those it comes after; what else it waits for is named behind it,
unless that is implied. So there are no crossing lines, and nothing of the graph is lost.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from olive_cli.job.view import Job, Stage

NAMED: Final = 2
"""Further stages that are named behind one; of more only the number is told."""

Edges = Mapping[str, Sequence[str]]


def rows(found: Job) -> Iterator[tuple[Stage, str]]:
    """Every stage, and how it is named in the tree."""
    stages = {stage.name: stage for stage in found.stages}
    edges = _edges(found.spec, list(stages))
    depth: dict[str, int] = {}
    before: dict[str, set[str]] = {}
    for name in stages:  # each after those it reads
        depth[name] = 1 + max((depth[e] for e in edges[name]), default=0)
        before[name] = {*edges[name], *(b for e in edges[name] for b in before[e])}
    places = {name: place for place, name in enumerate(stages)}

    def rank(name: str) -> tuple[int, int]:
        """Of several as deep: the model, not its data; what is trained, not what it is for."""
        return depth[name], places[name] if depth[name] > 1 else 0

    parent = {n: max(e, key=rank) for n, e in edges.items() if e}

    def below(names: Sequence[str], lines: str) -> Iterator[tuple[Stage, str]]:
        for name in names:
            last = name == names[-1]
            fork = "" if name not in parent else "└─ " if last else "├─ "
            implied = {b for e in edges[name] for b in before[e]} | {parent.get(name)}
            others = [e for e in edges[name] if e not in implied]
            yield stages[name], f"{lines}{fork}{name}{_joined(others)}"
            deeper = "" if name not in parent else "   " if last else "│  "
            yield from below([n for n in stages if parent.get(n) == name], lines + deeper)

    return below([name for name in stages if name not in parent], "")


def _edges(spec: Mapping[str, Any], names: Sequence[str]) -> Edges:
    """What each stage comes after; nothing where the spec is another version's, or not there."""
    if not spec:
        return dict.fromkeys(names, ())
    from olive_operator.api.spec import Spec  # a third of a second, and for a picture only
    from olive_operator.plan.graph import graph

    try:
        stages = graph(Spec.from_body(dict(spec)))
    except ValueError:
        return dict.fromkeys(names, ())
    places = {name: place for place, name in enumerate(names)}
    known = {s.name: (*s.inputs.values(), *s.after) for s in stages}
    return {
        name: tuple(dict.fromkeys(e for e in known.get(name, ()) if places.get(e, place) < place))
        for name, place in places.items()
    }


def _joined(others: Sequence[str]) -> str:
    if not others:
        return ""
    named, more = others[:NAMED], len(others) - NAMED
    return f" + {', '.join(named)}{f' and {more} more' if more > 0 else ''}"
