"""A notifier on the log, the database of its own and the topics that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conductor.notifications.notifier import Notifier, NotifierOptions, NotifierPorts
from conductor.notifications.telling import Manner
from conductor.run import run
from events.log import Log
from events.owner_lock import OwnerLock
from events.ports import SystemClock
from events.seal import MasterKeyring
from projections.schema import upgrade
from projections.sql_store import open_store
from regente.places import existing_log, open_log, topics_of
from regente.settings import Settings
from regente.state_folder import StateError, StateFolder

#: The consumer group of all notifiers of one set of topics.
GROUP = "{prefix}.notifications"


@dataclass(frozen=True, slots=True)
class Notifying:
    """A notifier and what it holds open."""

    notifier: Notifier
    close: Callable[[], None]


def build_notifier(
    settings: Settings, *, log: Log, url: str, master: bytes, from_beginning: bool = False
) -> Notifying:
    """Return a notifier that has not taken a turn yet, its database made or brought up to date."""
    upgrade(url)
    store, reader, writer = open_store(url), log.reader(), log.writer()

    def close() -> None:
        reader.close()
        writer.close()
        store.close()

    topics, told = topics_of(settings), settings.notifications
    ports = NotifierPorts(
        group=log.group(GROUP.format(prefix=topics.prefix)),
        reader=reader,
        writer=writer,
        store=store,
        keyring=MasterKeyring(master),
        topics=topics,
    )
    options = NotifierOptions(
        versioned_notifications_topics=told.topics,
        manner=Manner(
            notify_on_state_change=told.notify_on_state_change or None,
            bdms_in_notifications=told.bdms_in_notifications,
            plane=topics.prefix,
        ),
        from_beginning=from_beginning,
    )
    return Notifying(Notifier(ports, options), close)


def notifications_url(settings: Settings, folder: StateFolder) -> str:
    """Return the URL of the notifier's database, which must not be the conductors'."""
    named = settings.notifications.connection
    if named and named == settings.database.connection:
        raise StateError(
            "Expected [notifications] connection to name a database of its own, but it is that of"
            " [database] connection: its checkpoints are the conductors'."
        )
    return named or f"sqlite:///{folder.notifications.absolute()}"


def run_notifier(
    settings: Settings,
    folder: StateFolder,
    should_stop: Callable[[], bool],
    *,
    from_beginning: bool = False,
) -> None:
    """Leave everything that happens told until told to stop; then leave the group.

    Raises StateError where notifications are switched off, the log is not there, or another
    notifier has these files.
    """
    if not settings.notifications.is_on:
        raise StateError(
            "Expected [notifications] notification_format of versioned or both, but it is"
            " unversioned: nothing is to be sent. Set it, then `regente topics create` makes the"
            " topics."
        )
    existing_log(settings, folder)
    lock = _locked(folder) if settings.is_local else None
    try:
        notifying = build_notifier(
            settings,
            log=open_log(settings, folder, lock),
            url=notifications_url(settings, folder),
            master=folder.master(),
            from_beginning=from_beginning,
        )
        try:
            try:
                run([notifying.notifier], SystemClock(), should_stop)
            finally:
                notifying.notifier.stop()
        finally:
            notifying.close()
    finally:
        if lock is not None:
            lock.release()


def _locked(folder: StateFolder) -> OwnerLock:
    lock = OwnerLock(folder.notifier_lock)
    if not lock.take():
        raise StateError(
            f"Expected no other notifier on {folder.path}, but one holds {folder.notifier_lock}."
        )
    return lock
