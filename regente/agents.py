"""An agent for one host, with the key file that `regente node enroll` wrote.

Imports nothing but events and compute, so that it runs where only `pip install regente` was done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compute.fake_driver import FakeDriver, FakeOptions
from compute.limits import Bounds
from compute.node import Node
from compute.wiring import Parts, Ports, build, open_journal, partitions_of
from compute.world import World
from events.log import Log
from events.ports import Clock
from events.topics import Topics
from regente.settings import Settings
from regente.state_folder import KeyFile, StateFolder


@dataclass(frozen=True, slots=True)
class Agent:
    """What runs for one host, and what it holds open."""

    host: str
    parts: Parts
    driver: FakeDriver
    close: Callable[[], None]


def build_fake_agent(
    settings: Settings,
    *,
    folder: StateFolder,
    file: KeyFile,
    log: Log,
    world: World,
    clock: Clock,
    copy_polls: int = 3,
) -> Agent:
    """Return the agent of a simulated host; it has not taken a turn yet.

    Raises JournalInUse where the host has another agent on this machine, LogUnavailable, UnknownTopic.
    """
    topics = Topics(file.topics)
    reader, writer = log.reader(), log.writer()
    journal = open_journal(folder.journals, file.host)
    node = Node(
        host=file.host,
        key=file.key,
        partitions=partitions_of(reader, topics.node_events),
        topics=topics,
        bounds=bounds_of(settings),
    )
    driver = FakeDriver(
        host=file.host,
        world=world,
        options=FakeOptions(
            copy_polls=copy_polls,
            permits_post_copy=settings.libvirt.live_migration_permit_post_copy,
        ),
    )
    parts = build(node, journal, Ports(writer=writer, reader=reader, driver=driver, clock=clock))

    def close() -> None:
        reader.close()
        writer.close()
        journal.close()

    return Agent(file.host, parts, driver, close)


def bounds_of(settings: Settings) -> Bounds:
    """Return what an operator set of a node."""
    return Bounds(
        max_concurrent_live_migrations=settings.max_concurrent_live_migrations,
        max_concurrent_builds=settings.max_concurrent_builds,
        report_interval_s=settings.report_interval,
    )
