"""JSON to frozen dataclasses, and back; what does not fit is an error that names its path."""

import types
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def decode(to: type[T], body: Any, path: str = "") -> T:
    """``body`` (plain JSON values) as ``to``; ValueError names the path of what does not fit."""
    return cast(T, _value(to, body, path))


def encode(value: Any) -> Any:
    """As plain JSON values: dataclasses.asdict without its copy of every leaf."""
    if is_dataclass(value):
        names = _names_of(type(value))  # type: ignore[arg-type]  # a class is hashable
        return {name: encode(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {name: encode(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return value


def _value(hint: Any, value: Any, path: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _first(tuple(a for a in args if a is not type(None)), value, path)
    if origin is Literal:
        if value not in args:
            raise ValueError(f"{path or 'value'}: {value!r} is none of {', '.join(map(str, args))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{path}: a list is needed, not {value!r}")
        return tuple(_value(args[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{path}: an object is needed, not {value!r}")
        return {k: _value(args[1], v, f"{path}.{k}") for k, v in value.items()}
    if is_dataclass(hint):
        return _object(cast(type[Any], hint), value, path)
    if issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError:
            words = ", ".join(str(word) for word in hint)
            raise ValueError(f"{path or 'value'}: {value!r} is none of {words}") from None
    return _scalar(hint, value, path)


def _first(hints: tuple[Any, ...], value: Any, path: str) -> Any:
    """By the first of several types that the value fits."""
    for hint in hints[:-1]:
        try:
            return _value(hint, value, path)
        except ValueError:
            continue
    return _value(hints[-1], value, path)


def _object(to: type[Any], value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{path or to.__name__}: an object is needed, not {value!r}")
    hints, known = _fields_of(to)  # type: ignore[arg-type]  # a class is hashable
    if unknown := sorted(set(value) - set(known)):
        raise ValueError(f"{path or to.__name__}: unknown field {unknown[0]!r}")
    found = {
        name: _value(hints[name], value[name], f"{path}.{name}" if path else name)
        for name in known
        if name in value
    }
    for name, field in known.items():
        if name not in found and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{path or to.__name__}: field {name!r} is missing")
    return to(**found)


@cache
def _names_of(of: type[Any]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(of))


@cache
def _fields_of(to: type[Any]) -> tuple[dict[str, Any], dict[str, Field[Any]]]:
    """Types and fields by name; to find them takes longer than all the rest."""
    return get_type_hints(to), {f.name: f for f in fields(to)}


def _scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)  # 16 and 16.0 are one value, and must give one key
    if isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    raise ValueError(f"{path or 'value'}: {hint.__name__} is needed, not {value!r}")
