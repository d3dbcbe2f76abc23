"""An agent for one host, with the key file that `regente node enroll` wrote.

Imports nothing but events and compute, so that it runs where only `pip install regente` was done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compute.fake_driver import FakeDriver, FakeOptions
from compute.file_world import FileWorld
from compute.limits import Bounds
from compute.node import Node
from compute.run import run
from compute.wiring import Parts, Ports, build, open_journal, partitions_of
from compute.world import World
from events.log import Log
from events.ports import Clock, SystemClock
from events.topics import Topics
from regente.places import existing_log
from regente.settings import Settings
from regente.state_folder import KeyFile, StateFolder


@dataclass(frozen=True, slots=True)
class Agent:
    """What runs for one host, and what it holds open."""

    host: str
    parts: Parts
    driver: FakeDriver
    close: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What simulated hosts share: where they store, where they speak, and the world they are in."""

    folder: StateFolder
    log: Log
    world: World
    clock: Clock
    #: Polls that the copy of a guest's memory takes.
    copy_polls: int = 3


def build_fake_agent(settings: Settings, machine: Machine, file: KeyFile) -> Agent:
    """Return the agent of a simulated host; it has not taken a turn yet.

    Raises JournalInUse where the host has another agent on this machine, LogUnavailable,
    UnknownTopic.
    """
    topics = Topics(file.topics)
    reader, writer = machine.log.reader(), machine.log.writer()
    journal = open_journal(machine.folder.journals, file.host)
    node = Node(
        host=file.host,
        key=file.key,
        partitions=partitions_of(reader, topics.node_events),
        topics=topics,
        bounds=bounds_of(settings),
    )
    driver = FakeDriver(
        host=file.host,
        world=machine.world,
        options=FakeOptions(
            copy_polls=machine.copy_polls,
            permits_post_copy=settings.libvirt.live_migration_permit_post_copy,
        ),
    )
    ports = Ports(writer=writer, reader=reader, driver=driver, clock=machine.clock)
    parts = build(node, journal, ports)

    def close() -> None:
        reader.close()
        writer.close()
        journal.close()

    return Agent(file.host, parts, driver, close)


def bounds_of(settings: Settings) -> Bounds:
    """Return what an operator set of a node."""
    return Bounds(
        max_concurrent_live_migrations=settings.max_concurrent_live_migrations,
        max_concurrent_incoming_live_migrations=settings.max_concurrent_incoming_live_migrations,
        max_concurrent_builds=settings.max_concurrent_builds,
        max_concurrent_snapshots=settings.max_concurrent_snapshots,
        report_interval_s=settings.report_interval,
    )


def run_fake_agent(
    settings: Settings, *, folder: StateFolder, file: KeyFile, should_stop: Callable[[], bool]
) -> None:
    """Leave a simulated host served until told to stop, and its last word in the log."""
    clock = SystemClock()
    folder.make()
    machine = Machine(
        folder=folder,
        log=existing_log(settings, folder),
        world=FileWorld(folder.world),
        clock=clock,
    )
    agent = build_fake_agent(settings, machine, file)
    try:
        run(agent.parts, clock, should_stop)
    finally:
        agent.close()
