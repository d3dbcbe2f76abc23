"""The store of the simulation, under the contract of the stores that it stands for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from projections.store import Store
from tests.contract.store_dues import DuesContract
from tests.contract.store_fold import FoldContract
from tests.contract.store_owner import OwnerContract
from tests.simulation.database import Database
from tests.simulation.store_model import StoreModel

Opener = Callable[[], Store]


@pytest.fixture
def model_store() -> Opener:
    database = Database()
    return lambda: StoreModel(database)


class TestFoldOnModel(FoldContract):
    @pytest.fixture
    def open_store(self, model_store: Opener) -> Opener:
        return model_store


class TestOwnerOnModel(OwnerContract):
    @pytest.fixture
    def open_store(self, model_store: Opener) -> Opener:
        return model_store


class TestDuesOnModel(DuesContract):
    @pytest.fixture
    def open_store(self, model_store: Opener) -> Opener:
        return model_store
