"""What every contract of a store begins with: the store, and one who owns its partitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from events.log import TopicPartition
from projections.store import Store
from tests.contract.store_data import own

Owned = Mapping[TopicPartition, int]


class StoreContract:
    """A subclass supplies `open_store`: each call opens the same database once more."""

    @pytest.fixture
    def store(self, open_store: Callable[[], Store]) -> Store:
        return open_store()

    @pytest.fixture
    def owned(self, store: Store) -> dict[TopicPartition, int]:
        return own(store)
