"""The CRD's validation rules (CEL), by the runtime that the language's authors keep.

``quantity`` and ``isQuantity`` are Kubernetes' own additions, with the methods that the rules use.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]
from cel_expr_python.ext import ext_strings  # type: ignore[import-untyped]

from olive_cli.run.schema import Schema, below, field


def broken(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """A sentence for every rule that the value or a part of it breaks; its structure must fit."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if _evaluated(rule["rule"], value) is not True:
            yield f"{path}{rule.get('fieldPath', '')}: {_message(rule, value)}"
    if isinstance(value, dict):
        for name, part in value.items():
            yield from broken(below(schema, name), part, field(path, [name]))
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield from broken(schema.get("items", {}), part, field(path, [index]))


def _message(rule: dict[str, str], value: Any) -> str:
    if "messageExpression" in rule:
        return str(_evaluated(rule["messageExpression"], value))
    return rule.get("message", f"breaks the rule {rule['rule']}")


def _evaluated(rule: str, value: Any) -> Any:
    return environment().compile(rule).eval(data={"self": value}).value()


@cache
def environment() -> Any:
    """Where rules are read: ``self``, the strings library, and quantities."""
    kind = cel.Type
    quantities = cel.CelExtension(
        "quantities",
        [
            _function("isQuantity", kind.BOOL, [kind.STRING], _is_quantity),
            _function("quantity", kind.DOUBLE, [kind.STRING], _quantity),
            _function("isGreaterThan", kind.BOOL, [kind.DOUBLE] * 2, lambda a, b: a > b, True),
            _function("isLessThan", kind.BOOL, [kind.DOUBLE] * 2, lambda a, b: a < b, True),
        ],
    )
    extensions = [ext_strings.ExtStrings(), quantities]
    return cel.NewEnv(variables={"self": kind.DYN}, extensions=extensions)


def _function(name: str, returns: Any, takes: list[Any], does: Any, method: bool = False) -> Any:
    return cel.FunctionDecl(name, [cel.Overload(f"{name}_only", returns, takes, method, does)])


def _quantity(text: str) -> float:
    from kubernetes.utils.quantity import parse_quantity  # half a second, and seldom needed

    return float(parse_quantity(text))


def _is_quantity(text: str) -> bool:
    try:
        _quantity(text)
    except ValueError:
        return False
    return True
