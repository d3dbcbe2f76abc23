"""A whole cloud kept as it stands between two turns, to go on from there as often as one likes.

Each copy has all that can change for itself: objects, containers, dice, functions with what they
closed over. What can't change is the same in all of them: text, bytes, rows, records, facts, code.
Between turns nothing stands in a call; but a driver that is in the middle of something does, in a
generator, and such a moment can't be kept.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import is_dataclass
from enum import Enum
from functools import _lru_cache_wrapper
from hashlib import sha256
from io import BytesIO
from threading import RLock
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    GeneratorType,
    MappingProxyType,
    ModuleType,
)
from typing import Any, Final, Generic, TypeVar, cast

from msgspec import Struct

from events.seal import MasterKeyring

Whole = TypeVar("Whole")

_HASH: Final = type(sha256())
_LOCK: Final = type(RLock())
_PLAIN: Final = (int, float, bool, type(None))
#: Nobody can tell two of an equal value apart, or it only remembers what it would compute again.
_UNCHANGING: Final = (
    *(str, bytes, *_PLAIN, Enum, type, CodeType, ModuleType, BuiltinFunctionType),
    *(_lru_cache_wrapper, MasterKeyring),
)


class NotBetweenTurns(Exception):
    """Somebody is in the middle of something: that can't be kept."""


class Snapshot(Generic[Whole]):
    """Something as it stood; raises NotBetweenTurns where it did not."""

    def __init__(self, whole: Whole) -> None:
        stream = BytesIO()
        keeper = _Keeper(stream)
        keeper.dump(whole)
        self._bytes = stream.getvalue()
        self._shared = keeper.shared

    def copy(self) -> Whole:
        """Return it as it stood, for nobody else."""
        return cast("Whole", _Copier(self._bytes, self._shared).load())


class _Shared:
    """What is the same in each copy, whatever it is."""

    def __init__(self, what: object) -> None:
        self.what = what


class _Keeper(pickle.Pickler):
    """Writes down what can change; numbers the rest."""

    def __init__(self, stream: BytesIO) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self.shared: list[object] = []
        self._numbers: dict[int, int] = {}
        #: By id: none of them goes away while this is at work.
        self._is_fixed: dict[int, bool] = {}

    def persistent_id(self, what: object) -> int | None:
        if isinstance(what, _Shared):
            what = what.what
        elif isinstance(what, _PLAIN) or not self._can_not_change(what):
            return None
        if (number := self._numbers.get(id(what))) is None:
            number = self._numbers[id(what)] = len(self.shared)
            self.shared.append(what)
        return number

    def reducer_override(self, what: Any) -> Any:
        """Say how it is made anew, where the pickle module does not know or is wrong."""
        kind = type(what)
        if kind is GeneratorType:
            raise NotBetweenTurns(f"Expected nobody in the middle of something, but {what}")
        if kind is _HASH:
            return _copied, (_Shared(what.copy()),)
        if kind is _LOCK:
            return RLock, ()
        if kind is FunctionType:
            cells = [cell.cell_contents for cell in what.__closure__ or ()]
            made = (_Shared(what.__code__), _Shared(what.__globals__), len(cells))
            given = (what.__defaults__, what.__kwdefaults__, cells)
            return _made, made, given, None, None, _fill_function
        if "__getattr__" in kind.__dict__:
            # What it found by that and keeps beside its own it finds again.
            own = {k: v for k, v in what.__dict__.items() if k.startswith("_")}
            return object.__new__, (kind,), own, None, None, _fill
        return NotImplemented

    def _can_not_change(self, what: object) -> bool:
        if isinstance(what, _UNCHANGING) or type(what) is object:
            return True
        known = self._is_fixed.get(id(what))
        if known is None:
            self._is_fixed[id(what)] = False  # Whatever contains itself can change.
            parts = _parts(what)
            known = parts is not None and all(map(self._can_not_change, parts))
            self._is_fixed[id(what)] = known
        return known


class _Copier(pickle.Unpickler):
    def __init__(self, written: bytes, shared: list[object]) -> None:
        super().__init__(BytesIO(written))
        self.persistent_load = shared.__getitem__  # type: ignore[method-assign]  # fast


def _parts(what: Any) -> list[object] | None:
    """Return what something is made of that can't change by itself; None where it can."""
    kind = type(what)
    if isinstance(what, tuple | frozenset):
        return list(what)
    if isinstance(what, Struct) and kind.__struct_config__.frozen:
        return [getattr(what, name) for name in kind.__struct_fields__]
    if is_dataclass(what) and kind.__dataclass_params__.frozen:
        return [getattr(what, name) for name in kind.__dataclass_fields__]
    if kind is FunctionType and what.__closure__ is None:
        return []
    if kind is MappingProxyType:
        return [*what.values()]
    return None


def _copied(of: Any) -> object:
    return of.copy()


def _made(code: CodeType, names: dict[str, Any], count: int) -> Callable[..., object]:
    return FunctionType(code, names, None, None, tuple(CellType() for _ in range(count)))


def _fill_function(function: FunctionType, own: tuple[Any, Any, list[object]]) -> None:
    function.__defaults__, function.__kwdefaults__, contents = own
    for cell, content in zip(function.__closure__ or (), contents, strict=True):
        cell.cell_contents = content


def _fill(what: Any, own: dict[str, object]) -> None:
    what.__dict__.update(own)
