"""Plain values (JSON) to frozen dataclasses: unknown keys refused, wrong types named."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union

from sam3i_edge import text_files
from sam3i_edge.errors import ConfigError, unknown_name

T = TypeVar("T")


class SchemaError(ValueError):
    """A value that does not fit; the message names its key. Callers wrap it in an error of their own."""


def parse(cls: type[T], values: Any, name: str = "", *, ignore_unknown: bool = False) -> T:
    """Build the dataclass ``cls`` from plain ``values``.

    Args:
        cls: a frozen dataclass.
        values: what JSON or TOML gave.
        name: the dotted path that errors begin with.
        ignore_unknown: leave out keys that ``cls``, or a dataclass in it, does not have.

    Raises:
        SchemaError: a key is unknown or missing, or a value has the wrong type.
    """
    if not isinstance(values, Mapping):
        raise SchemaError(f"{name or 'the top level'} is {_shown(values)}; expected an object.")
    hints = typing.get_type_hints(cls)
    prefix = f"{name}." if name else ""
    arguments = {}
    for key, value in values.items():
        if key in hints:
            arguments[key] = convert(hints[key], value, prefix + key, ignore_unknown=ignore_unknown)
        elif not ignore_unknown:
            raise SchemaError(unknown_name("key", prefix + str(key), (prefix + hint for hint in hints)))
    for field in dataclasses.fields(typing.cast(Any, cls)):
        is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if is_required and field.name not in arguments:
            raise SchemaError(f"{prefix}{field.name} is missing.")
    return cls(**arguments)


def read_toml(cls: type[T], path: Path, what: str, check: Callable[[dict[str, Any]], None] = lambda _: None) -> T:
    """The values of a TOML file, which ``check`` sees first, as a ``cls``. Raises ConfigError naming the file."""
    try:
        values = text_files.read_toml(path)
        check(values)
        return convert(cls, values, "")  # type: ignore[no-any-return]
    except OSError as error:
        raise ConfigError(f"Cannot read the {what} {path}: {error.strerror}.") from error
    except (ValueError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from error


def plain(value: Any) -> Any:
    """The plain values that ``parse`` reads back: dataclasses to dicts, tuples to lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def convert(hint: Any, value: Any, name: str, *, ignore_unknown: bool = False) -> Any:
    """A plain ``value`` as the type ``hint``; otherwise as ``parse``."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)

    def inside(hint: Any, value: Any, name: str) -> Any:
        return convert(hint, value, name, ignore_unknown=ignore_unknown)

    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return parse(typing.cast(type, hint), value, name, ignore_unknown=ignore_unknown)
    if origin in (Union, types.UnionType):
        for option in inner:
            is_object = dataclasses.is_dataclass(option) or typing.get_origin(option) is dict
            fits = option is type(value) or (option is float and type(value) is int)
            if fits or (is_object and isinstance(value, Mapping)):
                return inside(option, value, name)
    elif origin in (tuple, Sequence) and isinstance(value, list | tuple):
        return tuple(inside(inner[0], item, f"{name}[{i}]") for i, item in enumerate(value))
    elif origin is dict and isinstance(value, Mapping):
        prefix = f"{name}." if name else ""
        return {str(key): inside(inner[1], item, prefix + str(key)) for key, item in value.items()}
    elif hint is float and type(value) in (int, float):  # JSON writes 1.0 as 1
        with contextlib.suppress(OverflowError):
            if not math.isfinite(number := float(value)):
                raise SchemaError(f"{name} is {value}; it must be finite.")
            return number
    elif type(value) is hint and (hint is not int or abs(value) < 1 << 63):  # C++ has no larger
        return value
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
