"""Other ways in the house for a while, taken back again whatever happens."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: What is patched now: one entry for each time.
_PATCHED: Final[list[object]] = []


def is_patched() -> bool:
    """Say whether anything in the house is other than it was written."""
    return bool(_PATCHED)


@contextmanager
def patched(*patches: tuple[object, str, object]) -> Iterator[None]:
    """Have these values under these names of these owners."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    _PATCHED.append(patches)
    for owner, name, value in patches:
        setattr(owner, name, value)
    try:
        yield
    finally:
        _PATCHED.pop()
        for owner, name, value in before:
            setattr(owner, name, value)


@contextmanager
def uncollected() -> Iterator[None]:
    """Let cycles lie for as long as a run: what it leaves is small, and each search is long."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
