"""Many instances that live already: copies of one that was created, each under an id of its own.

To create a million one by one through the log would take longer than all that is measured. A copy
is what the fold would have left but for its ids, and its writers' chains go on from it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace as changed
from uuid import UUID

from sqlalchemy import text

from bench.lives import Life, Seen
from bench.load import HOSTS, KEYRING
from conductor.bodies import HELD_CODEC
from conductor.rows import instance_row
from events.log import Message
from events.topics import Topics, partition_of
from events.values import replace
from projections import schema
from projections.bulk import bulk_of
from projections.engine import open_engine
from projections.rows import InstanceStateRow
from projections.tables import ROWS
from projections.transactions import writing
from statemachines.held import Held

#: Rows of one transaction of the load.
LOAD_ROWS = 20_000


class Crowd:
    """Instances that stand created, in a number that is given."""

    def __init__(self, topics: Topics, partitions: int, begin_us: int, count: int) -> None:
        self._partitions = partitions
        self.count = count
        self.seen = Seen()
        first = Life(
            str(UUID(int=1)), topics, KEYRING, partitions, random.Random(1), begin_us, self.seen
        )
        for _ in first.operation("create", HOSTS):
            pass
        self._first = first
        self.seen.accepted = 0

    def id_of(self, n: int) -> str:
        """Name the n-th instance."""
        return str(UUID(int=random.Random(n).getrandbits(128), version=4))

    def held(self, n: int) -> Held:
        """Return the state of the n-th instance."""
        assert self._first.held is not None
        return replace(self._first.held, instance_id=self.id_of(n))

    def life(self, n: int) -> Life:
        """Return the n-th instance as one that goes on to live."""
        chains = {name: changed(chain) for name, chain in self._first.chains.items()}
        return changed(self._first, instance_id=self.id_of(n), held=self.held(n), chains=chains)

    def says(self, active: int, rounds: int) -> Iterator[Message]:
        """Yield what `active` of them, evenly drawn, say in turn: stop, start, and so on."""
        chosen = [self.life(n * (self.count // active)) for n in range(active)]
        for round_ in range(rounds):
            action = ("stop", "start")[round_ % 2]
            for life in chosen:
                yield from life.operation(action, HOSTS, illegal=0.0)

    def settle(self, url: str) -> None:
        """Leave a database in which all of them stand, as one that has long been in use.

        Counted and vacuumed: else PostgreSQL would do so while a large one is measured.
        """
        schema.upgrade(url)
        engine = open_engine(url)
        bulk = bulk_of(engine)
        for start in range(0, self.count, LOAD_ROWS):
            some = [self.held(n) for n in range(start, min(start + LOAD_ROWS, self.count))]
            with writing(engine) as connection:
                bulk.load(connection, ROWS["instances"], [instance_row(each) for each in some])
                bulk.load(connection, ROWS["instance_states"], [self._state(h) for h in some])
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (FREEZE, ANALYZE)"))
        engine.dispose()

    def _state(self, held: Held) -> InstanceStateRow:
        partition = partition_of(held.instance_id, self._partitions)
        return InstanceStateRow(held.instance_id, partition, HELD_CODEC.encode(held))
