"""A conductor on the log and the database that the settings name.

Translates settings into the options of `conductor.wiring`, and `[conductor] manager` into the
class that is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from conductor.commits import beside
from conductor.run import run
from conductor.scheduler_options import SchedulerOptions
from conductor.wiring import Options, Ports
from events.log import Log
from events.owner_lock import OwnerLock
from events.ports import Clock, SystemClock
from events.seal import MasterKeyring
from projections.sql_store import SqlStore, open_store
from regente.places import existing_database_url, existing_log, open_log, topics_of
from regente.settings import Settings
from regente.settings_file import SettingsError
from regente.state_folder import StateFolder, in_use

#: The consumer group of all conductors of one set of topics.
GROUP = "{prefix}.conductors"
_MIB_PER_GIB = 1024


class Runs(Protocol):
    """What a worker process runs: the built-in conductor, or a class in its place."""

    def turn(self) -> bool:
        """Do a bounded piece of work."""
        ...

    def stop(self) -> None:
        """Finish cleanly."""
        ...


@dataclass(frozen=True, slots=True)
class Conducting:
    """A conductor and what it holds open."""

    conductor: Runs
    store: SqlStore
    close: Callable[[], None]


def build_conductor(
    settings: Settings, *, log: Log, url: str, master: bytes, clock: Clock
) -> Conducting:
    """Return a conductor that has not taken a turn yet.

    Raises SchemaMismatch, StoreUnavailable, LogUnavailable; SettingsError for a manager that is
    no class.
    """
    topics = topics_of(settings)
    manager = manager_of(settings.conductor.manager)
    store = open_store(url)
    reader, writer = log.reader(), log.writer()

    def close() -> None:
        reader.close()
        writer.close()
        store.close()

    ports = Ports(
        group=log.group(GROUP.format(prefix=topics.prefix)),
        reader=reader,
        writer=writer,
        store=store,
        clock=clock,
        keyring=MasterKeyring(master),
        topics=topics,
        beside=beside(is_served=store.is_served),
    )
    return Conducting(manager(ports, options_of(settings)), store, close)


def options_of(settings: Settings) -> Options:
    """Return what a conductor is told."""
    return Options(
        service_down_time_s=settings.service_down_time,
        scheduler=SchedulerOptions(
            cpu_allocation_ratio_percent=round(settings.cpu_allocation_ratio * 100),
            ram_allocation_ratio_percent=round(settings.ram_allocation_ratio * 100),
            disk_allocation_ratio_percent=round(settings.disk_allocation_ratio * 100),
            reserved_host_cpus=settings.reserved_host_cpus,
            reserved_host_memory_mb=settings.reserved_host_memory_mb,
            # A GiB that is begun is kept whole: the scheduler counts in GiB.
            reserved_host_disk_gb=-(-settings.reserved_host_disk_mb // _MIB_PER_GIB),
        ),
    )


def manager_of(path: str) -> Callable[[Ports, Options], Runs]:
    """Return the class that `[conductor] manager` names; raises SettingsError."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        found = None
    if not isinstance(found, type):
        raise SettingsError(
            f"Expected [conductor] manager to name a class of an installed module, but {path}."
        )
    return found


def run_conductor(settings: Settings, folder: StateFolder, should_stop: Callable[[], bool]) -> None:
    """Leave the partitions of one conductor served until told to stop; then leave the group.

    Raises StateError where nobody made the log yet, or another process owns the files; ForeignRules
    where rules are in force that this code does not know.
    """
    clock = SystemClock()
    existing_log(settings, folder)
    lock = _owned(folder) if settings.is_local else None
    conducting = build_conductor(
        settings,
        log=open_log(settings, folder, lock),
        url=existing_database_url(settings, folder),
        master=folder.master(),
        clock=clock,
    )
    try:
        try:
            run([conducting.conductor], clock, should_stop)
        finally:
            # Also when it may not go on: the others shall not wait until its session ends.
            conducting.conductor.stop()
    finally:
        conducting.close()
        if lock is not None:
            lock.release()


def _owned(folder: StateFolder) -> OwnerLock:
    lock = OwnerLock(folder.owner_lock)
    if not lock.take():
        raise in_use(folder)
    return lock
