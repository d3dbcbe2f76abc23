"""One instance folded again, out of its partition, by the same fold as everything else.

What is said of others is passed over unopened; control records are obeyed. It can go on from where
it stands, so that whoever holds a partition's owner up holds it up for the last few records only.
"""

from __future__ import annotations

from typing import Final

from conductor.fold import Fold
from conductor.replay import (
    Tables,
    bodies_of,
    merge,
    read_to,
    set_aside_in,
    waiting_for_schema,
)
from events.log import LogReader, TopicPartition
from events.seal import MasterKeyring
from events.topics import CONTROL_KEY, Topics, partition_of
from projections.rows import TABLES, Key, Row

#: Columns that say about which instance a row is.
_SUBJECTS: Final = ("uuid", "instance_uuid", "subject")


class InstanceReplay:
    """The fold of one instance."""

    def __init__(
        self, *, reader: LogReader, keyring: MasterKeyring, topics: Topics, instance_id: str
    ) -> None:
        info = reader.topic(topics.instance_events)
        number = partition_of(instance_id, info.partitions)
        self.partition = TopicPartition(topics.instance_events, number)
        self._reader = reader
        self._keyring = keyring
        self._instance_id = instance_id
        self._keys = {instance_id.encode(), CONTROL_KEY.encode()}
        self._tables: Tables = {name: {} for name in TABLES}
        self._fold = Fold(
            self.partition,
            keyring=keyring,
            partitions=info.partitions,
            load=bodies_of(self._tables, of_nodes=False),
        )
        self._fold.waiting_for_schema = lambda: waiting_for_schema(self._tables, self.partition)
        #: The next offset that was not looked at.
        self.position = 0

    def to(self, end: int) -> dict[str, dict[Key, Row]]:
        """Return every row of the instance as the log says it at `end`; raises LogCutOff.

        Shape:   a table of the instance's own; nothing of hosts.
        """
        self._fold.aside = set_aside_in(self._reader, self._keyring, self.partition)
        for records in read_to(self._reader, self.partition, end, self.position):
            batch = self._fold.fold([r for r in records if r.key in self._keys])
            if batch is not None:
                self._fold.keep()
                merge(self._tables, batch.changes)
        self.position = max(self.position, end)
        return {
            name: {key: row for key, row in rows.items() if self._is_about_it(row)}
            for name, rows in self._tables.items()
            if name != "nodes"
        }

    def _is_about_it(self, row: Row) -> bool:
        return any(getattr(row, each, None) == self._instance_id for each in _SUBJECTS)
