"""A table that forgets what was not asked for longest, and never holds more than so many bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ByteLru(Generic[Key, Value]):
    """Threads may share one. No lock is held while a value is made: two threads may make the same one."""

    def __init__(self, most: int) -> None:
        """``most``: bytes."""
        self._most = most
        self._held = 0
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """The value, which becomes the newest."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep what takes ``size`` bytes, its key included; what alone takes more than there may be is not kept."""
        with self._lock:
            if key in self._entries or size > self._most:
                return
            self._entries[key] = value, size
            self._held += size
            while self._held > self._most:
                self._held -= self._entries.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._held = 0

    @property
    def held(self) -> int:
        """Bytes."""
        return self._held
