"""Two stores that are asked the same and must answer the same: the model, and a real database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import chain
from typing import TYPE_CHECKING

from projections.rows import TABLES
from projections.store import StoreError
from tests.simulation.database import Moment
from tests.simulation.laws import Broken
from tests.simulation.store_model import StoreModel

if TYPE_CHECKING:
    from projections.sql_store import SqlStore


class Twin:
    """Answers as the model does; raises Broken where the database answers otherwise."""

    def __init__(self, model: StoreModel, real: SqlStore) -> None:
        self._model = model
        self._real = real

    def __getattr__(self, name: str) -> Callable[..., object]:
        of_model, of_real = getattr(self._model, name), getattr(self._real, name)

        def call(*args: object, **kwargs: object) -> object:
            found = _answer(of_model, *args, **kwargs)
            real = _answer(of_real, *args, **kwargs)
            if _plain(found) != _plain(real):
                raise Broken(f"D: {name} of the model says {found!r}, of the database {real!r}")
            if isinstance(found, StoreError):
                raise found
            return found

        self.__dict__[name] = call
        return call

    def snapshot(self) -> AbstractContextManager[Moment]:
        """Show checkpoints and rows of one moment, having compared them."""
        for difference in self._differences():
            raise Broken(difference)
        return self._model.snapshot()

    def _differences(self) -> Iterator[str]:
        with self._model.snapshot() as model, self._real.snapshot() as real:
            if model.checkpoints != real.checkpoints:
                yield f"D: checkpoints {model.checkpoints} and {real.checkpoints}"
            for table in TABLES:
                if Counter(chain(*model.values(table))) != Counter(chain(*real.values(table))):
                    yield f"D: {table} of the model and of the database"


def _answer(method: Callable[..., object], *args: object, **kwargs: object) -> object:
    try:
        return method(*args, **kwargs)
    except StoreError as error:
        return error


def _plain(answer: object) -> object:
    return type(answer) if isinstance(answer, StoreError) else answer
