"""The auditor on the log and the database that the settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from conductor.auditor import Audit
from conductor.auditor import verify as verify_rows
from conductor.replay import LogCutOff, Replay, Replayed
from events.errors import LogError
from events.log import LogReader, TopicPartition
from events.seal import MasterKeyring
from projections.sql_store import open_store
from regente.conducting import options_of
from regente.places import existing_database_url, existing_log, topics_of
from regente.settings import Settings
from regente.state_folder import StateError, StateFolder

#: Records read at a time where a time is looked for.
POLL_RECORDS: Final = 5_000
POLL_S: Final = 1.0
#: Columns that only the fold reads.
_OF_THE_FOLD: Final = ("body",)


def verify(settings: Settings, folder: StateFolder) -> tuple[Audit, bool]:
    """Compare rows and log; say too whether no checkpoint has moved, so that nothing was compared.

    Raises StateError where the log can't be read, StoreError.
    """
    store = open_store(existing_database_url(settings, folder))
    try:
        with opened(settings, folder) as (replay, _), unreadable():
            audit = verify_rows(store, replay, options_of(settings).scheduler)
    finally:
        store.close()
    return audit, not any(audit.positions.values())


def replay(
    settings: Settings, folder: StateFolder, *, offset: int | None, us: int | None
) -> tuple[Replayed, dict[TopicPartition, int]]:
    """Fold the log to an offset of each partition, or to a time of its clock, or to its end."""
    with opened(settings, folder) as (fold, reader), unreadable():
        positions = fold.ends()
        if offset is not None:
            positions = {at: min(offset, end) for at, end in positions.items()}
        if us is not None:
            positions = {at: _until(reader, at, end, us) for at, end in positions.items()}
        return fold.fold_to(positions), positions


def about(found: Replayed, instance: str) -> dict[str, list[dict[str, object]]]:
    """Return every row of one instance, by table; what only the fold reads is left out."""
    names = ("uuid", "instance_uuid", "subject")
    return {
        table: [
            {k: v for k, v in row._asdict().items() if k not in _OF_THE_FOLD}
            for row in rows.values()
            if any(getattr(row, name, None) == instance for name in names)
        ]
        for table, rows in found.tables.items()
        if table not in ("nodes", "instance_states")
    }


@contextmanager
def opened(settings: Settings, folder: StateFolder) -> Iterator[tuple[Replay, LogReader]]:
    """Give a fold over the log, and its reader."""
    reader = existing_log(settings, folder).reader()
    try:
        keyring = MasterKeyring(folder.master())
        topics = topics_of(settings)
        yield (
            Replay(reader=reader, keyring=keyring, topics=topics, check_form=True),
            reader,
        )
    finally:
        reader.close()


@contextmanager
def unreadable() -> Iterator[None]:
    """Say that the log can't be read, whatever the reason was."""
    try:
        yield
    except (LogCutOff, LogError) as error:
        raise StateError(f"{error} The log can't be read as far as the rows go.") from error


def _until(reader: LogReader, at: TopicPartition, end: int, us: int) -> int:
    """Return the first offset of a partition that the log appended at that time or later."""
    position = reader.begin_offsets([at])[at]
    reader.assign({at: position})
    while position < end:
        for record in reader.poll(POLL_RECORDS, POLL_S):
            if record.timestamp_us >= us:
                return record.offset
            position = record.offset + 1
    return end
