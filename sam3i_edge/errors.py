"""Every error this package raises on purpose, and the "did you mean" that goes with unknown names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Sam3iEdgeError(Exception):
    """Base of all errors raised on purpose. The message names the value, what is allowed and what to do next.

    A message of several lines has an argument for each: what is shown of a value cannot begin a line of its own then.
    """

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


class ConfigError(Sam3iEdgeError):
    """A model configuration that cannot describe a SAM3-I model."""


class CheckpointError(Sam3iEdgeError):
    """A checkpoint that cannot be read, or that does not fit the configuration."""


class ExportError(Sam3iEdgeError):
    """An export that did not reproduce the model, or could not be written."""


class BundleError(Sam3iEdgeError):
    """A bundle that is damaged, incomplete, or newer than this package."""


class ImageError(Sam3iEdgeError):
    """An image that cannot be read or is not ``(H, W, 3)`` uint8 RGB."""


class PromptError(Sam3iEdgeError):
    """A text, route, box or threshold that cannot prompt the model."""


class DataError(Sam3iEdgeError):
    """A dataset that cannot be found, read or understood."""


class TrainingError(Sam3iEdgeError):
    """A training run that cannot start, go on, or be resumed."""


class BenchmarkError(Sam3iEdgeError):
    """A measurement that cannot be made here, or a report that cannot be read or compared."""


class RuntimeUnavailableError(Sam3iEdgeError):
    """A runtime, device or optional dependency that is not installed here."""


def install(extra: str) -> str:
    """The command that installs what ``extra`` names. The package is on no index: it is installed from a checkout.

    >>> install("onnxruntime")
    "pip install '.[onnxruntime]', in a checkout of sam3i-edge"
    """
    return f"pip install '.[{extra}]', in a checkout of sam3i-edge"


@contextmanager
def packages_for(purpose: str, extra: str) -> Iterator[None]:
    """What is imported within needs packages of ``extra``; without one, the error says so and how to install it.

    Raises:
        RuntimeUnavailableError: "``purpose`` needs ..., which is not installed", or one of them is broken.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise RuntimeUnavailableError(
            f"{purpose} needs {error.name}, which is not installed: {install(extra)}"
        ) from error
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        raise RuntimeUnavailableError(
            f"{purpose} needs packages of which one is broken here ({type(error).__name__}: {error}). Install them "
            f"again: {install(extra).replace('install', 'install --force-reinstall', 1)}"
        ) from error


MAX_SHOWN = 80


def unknown_name(kind: str, value: object, known: Iterable[str]) -> str:
    """Say that ``value`` is no known ``kind``, list the known ones and name the closest.

    >>> unknown_name("route", "simpel", ["concept", "simple"])
    "Unknown route 'simpel'. Known: concept, simple. Did you mean 'simple'?"
    """
    names = list(known)
    shown = repr(value) if len(repr(value)) <= MAX_SHOWN else repr(value)[:MAX_SHOWN] + "..."
    text = f"Unknown {kind} {shown}. Known: {', '.join(names)}."
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(value)[: 4 * MAX_SHOWN].lower(), by_lower, n=1, cutoff=0.4)
    return f"{text} Did you mean {by_lower[close[0]]!r}?" if close else text
