"""Plain values (JSON) to frozen dataclasses: unknown keys refused, wrong types named."""

from __future__ import annotations

import contextlib
import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, Union

from sam3i_edge.errors import unknown_name

T = TypeVar("T")


class SchemaError(ValueError):
    """A value that does not fit; the message names its key. Callers wrap it in an error of their own."""


def parse(cls: type[T], values: Any, name: str = "") -> T:
    """Build the dataclass ``cls`` from plain ``values``. ``name`` is the dotted path that errors begin with."""
    if not isinstance(values, Mapping):
        raise SchemaError(f"{name or 'the top level'} is {_shown(values)}; expected an object.")
    hints = typing.get_type_hints(cls)
    prefix = f"{name}." if name else ""
    arguments = {}
    for key, value in values.items():
        if key not in hints:
            raise SchemaError(unknown_name("key", prefix + str(key), (prefix + hint for hint in hints)))
        arguments[key] = _convert(hints[key], value, prefix + key)
    for field in dataclasses.fields(typing.cast(Any, cls)):
        is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if is_required and field.name not in arguments:
            raise SchemaError(f"{prefix}{field.name} is missing.")
    return cls(**arguments)


def plain(value: Any) -> Any:
    """The plain values that ``parse`` reads back: dataclasses to dicts, tuples to lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _convert(hint: Any, value: Any, name: str) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return parse(typing.cast(type, hint), value, name)
    if origin in (Union, types.UnionType):
        for option in inner:
            if option is type(value):
                return value
            is_object = dataclasses.is_dataclass(option) or typing.get_origin(option) is dict
            if (is_object and isinstance(value, Mapping)) or (option is float and type(value) is int):
                return _convert(option, value, name)
    elif origin in (tuple, Sequence) and isinstance(value, list | tuple):
        return tuple(_convert(inner[0], item, f"{name}[{i}]") for i, item in enumerate(value))
    elif origin is dict and isinstance(value, Mapping):
        return {str(key): _convert(inner[1], item, f"{name}.{key}") for key, item in value.items()}
    elif type(value) is hint:
        return value
    elif hint is float and type(value) is int:  # JSON writes 1.0 as 1
        with contextlib.suppress(OverflowError):
            return float(value)
    raise SchemaError(f"{name} is {_shown(value)}; expected {_describe(hint)}.")


def _describe(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(option) for option in inner)
    if origin in (tuple, Sequence):
        return f"a list of {_describe(inner[0])}"
    if origin is dict:
        return "an object"
    return getattr(hint, "__name__", str(hint))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
