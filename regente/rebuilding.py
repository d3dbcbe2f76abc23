"""Tables made again from the log: folded, loaded beside those in use, compared, put in their place.

Effects are not linked into this code: nothing is sent. If conductors run meanwhile, the fold
catches up with them before the exchange, which fences them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from conductor.replay import Replayed
from conductor.replay_instance import InstanceReplay
from events.log import TopicPartition
from events.ports import SystemClock
from events.seal import MasterKeyring
from projections import rebuild as tables
from projections.rebuild_instance import Exchanged, position_of, put_instance
from projections.schema import check
from projections.sql_store import open_store
from regente.auditing import opened, unreadable
from regente.places import existing_database_url, existing_log, topics_of
from regente.settings import Settings
from regente.state_folder import StateError, StateFolder


class Rebuilt(NamedTuple):
    """What a rebuild did."""

    is_switched: bool
    #: Tables that differed.
    different: tuple[str, ...]
    #: Partitions that stood elsewhere than where the fold ended.
    elsewhere: tuple[str, ...]
    rows: dict[str, int]


#: Comparisons tried until no conductor moved on meanwhile.
TRIES_MAX: Final = 5


def rebuild(settings: Settings, folder: StateFolder, *, is_dry: bool) -> Rebuilt:
    """Put tables folded from the log in place; dry: only compare them with those in use.

    A dry one folds to the checkpoints, the other to the end of the log. Raises StateError where the
    log can't be read, StoreError.
    """
    url = existing_database_url(settings, folder)
    check(url)
    done = _once(settings, folder, url, is_dry=is_dry)
    tries = 1
    while is_dry and done.elsewhere and tries < TRIES_MAX:  # somebody folds meanwhile
        done = _once(settings, folder, url, is_dry=is_dry)
        tries += 1
    return done


def rebuild_instance(
    settings: Settings, folder: StateFolder, instance_id: str, *, is_dry: bool
) -> Exchanged:
    """Put the rows of one instance, folded from the log, in place; dry: only compare them.

    The owner of its partition waits for the last few records, and starts again from the rebuilt
    state. Raises StateError where the log can't be read or knows no such instance, StoreError.
    """
    url = existing_database_url(settings, folder)
    check(url)
    reader = existing_log(settings, folder).reader()
    try:
        with unreadable():
            fold = InstanceReplay(
                reader=reader,
                keyring=MasterKeyring(folder.master()),
                topics=topics_of(settings),
                instance_id=instance_id,
            )
            # As far as the owner is by now, without holding it up.
            rows = fold.to(position_of(url, fold.partition))
            if not rows["instances"]:
                raise StateError(f"Expected the log to know {instance_id}, but it does not.")
            return put_instance(url, instance_id, fold.partition, fold.to, is_dry=is_dry)
    finally:
        reader.close()


def _once(settings: Settings, folder: StateFolder, url: str, *, is_dry: bool) -> Rebuilt:
    folded = _fold(settings, folder, url, to_checkpoints=is_dry)
    rows = {name: table.values() for name, table in folded.tables.items()}
    certificate = tables.load(url, rows, folded.checkpoints)
    try:
        found = tables.compare(url, certificate)
        if not is_dry:
            tables.switch(url, certificate, SystemClock().now_us())
    finally:
        tables.discard(url)
    return Rebuilt(
        is_switched=not is_dry,
        different=tuple(there.table for _, there in found.different),
        elsewhere=tuple(f"{at.topic}/{at.partition}" for at in found.elsewhere),
        rows={each.table: each.rows for each in certificate.digests},
    )


def _fold(settings: Settings, folder: StateFolder, url: str, *, to_checkpoints: bool) -> Replayed:
    with opened(settings, folder) as (fold, _), unreadable():
        if not to_checkpoints:
            return fold.fold_to(fold.ends())
        store = open_store(url)
        try:
            known = store.checkpoints()
        finally:
            store.close()
        return fold.fold_to({TopicPartition(c.topic, c.partition): c.next_offset for c in known})
