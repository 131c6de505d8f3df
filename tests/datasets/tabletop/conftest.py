"""Rendering needs MuJoCo and EGL; a machine without EGL skips the tests that render, and says so."""

from __future__ import annotations

import ctypes.util

import pytest

RENDERING = ("test_render.py", "test_generate.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if ctypes.util.find_library("EGL") is None:
        missing = pytest.mark.skip(reason="no EGL on this machine: apt install libegl1 libegl-mesa0")
        for item in items:
            if item.path.name in RENDERING and item.path.parent.name == "tabletop":
                item.add_marker(missing)
