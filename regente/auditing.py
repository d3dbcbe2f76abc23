"""The auditor on the log and the database that the settings name."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Final

from conductor.auditor import Audit
from conductor.auditor import verify as verify_rows
from conductor.collector import collected_seldom
from conductor.replay import LogCutOff, Replay, Replayed
from events.errors import LogError
from events.log import LogReader, TopicPartition
from events.seal import MasterKeyring
from projections.kept import Keeper
from projections.sql_store import open_store
from regente.conducting import options_of
from regente.places import existing_database_url, existing_log, topics_of
from regente.settings import Settings
from regente.state_folder import StateError, StateFolder

#: Records read at a time where a time is looked for.
POLL_RECORDS: Final = 5_000
POLL_S: Final = 1.0
#: Packages of which rows are made.
_FOLDING: Final = ("events", "statemachines", "conductor", "projections")
#: Columns that only the fold reads.
_OF_THE_FOLD: Final = ("body",)


def verify(
    settings: Settings, folder: StateFolder, *, kept: Path | None, is_from_start: bool = False
) -> tuple[Audit, bool]:
    """Compare rows and log; say too whether no checkpoint has moved, so that nothing was compared.

    It goes on from what the last verify that ended well has kept, in a folder of its own where one
    is named, unless it is to begin at the start; that is kept for the next either way.

    Raises StateError where the log can't be read, StoreError.
    """
    store = open_store(existing_database_url(settings, folder))
    try:
        with opened(settings, folder) as (replay, _), unreadable():
            keeper = Keeper(kept or folder.audit, key=_key(folder), code=code())
            if is_from_start:
                keeper.forget()
            audit = verify_rows(store, replay, options_of(settings).scheduler, keeper)
    finally:
        store.close()
    return audit, not any(audit.positions.values())


def code() -> str:
    """Return the digest of the code that makes rows of facts: other code may make others."""
    digest = sha256()
    for name in _FOLDING:
        (folder,) = import_module(name).__path__
        for path in sorted(Path(folder).rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _key(folder: StateFolder) -> bytes:
    return hmac.digest(folder.master(), b"kept", "sha256")


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
        with collected_seldom():
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
