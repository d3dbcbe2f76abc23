"""Builds the parts of an agent from plain options: the composition root of this package.

Which log, clock and driver it is that they get, the caller decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compute.agent import Agent
from compute.emitter import Emitter
from compute.errors import WrongEnrolment
from compute.heartbeat import Heartbeat
from compute.hypervisor import Hypervisor
from compute.journal import Journal
from compute.node import Node
from compute.sqlite_journal import SqliteJournal
from events.log import LogReader, LogWriter
from events.ports import Clock

JOURNAL_FILE: Final = "journal.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What runs for one host."""

    agent: Agent
    emitter: Emitter
    heartbeat: Heartbeat
    journal: Journal

    @property
    def turns(self) -> tuple[Agent, Emitter, Heartbeat]:
        """Return what takes turns, in the order in which a loop gives them."""
        return (self.agent, self.emitter, self.heartbeat)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What an agent reaches the world through."""

    writer: LogWriter
    reader: LogReader
    driver: Hypervisor
    clock: Clock


def build(node: Node, journal: Journal, ports: Ports) -> Parts:
    """Return the parts of an agent over a journal.

    Raises WrongEnrolment before anything is said: under a new key, numbers of an old journal would
    spoil the new chain.
    """
    if journal.enrolment() not in (0, node.enrolment):
        raise WrongEnrolment(
            f"Expected the journal of enrolment {node.enrolment}, but it is of"
            f" {journal.enrolment()}: move the journal of {node.host} away, its guests are found"
            " and told anew."
        )
    return Parts(
        agent=Agent(
            node=node,
            journal=journal,
            reader=ports.reader,
            driver=ports.driver,
            clock=ports.clock,
        ),
        emitter=Emitter(node=node, journal=journal, writer=ports.writer),
        heartbeat=Heartbeat(node=node, journal=journal, writer=ports.writer, clock=ports.clock),
        journal=journal,
    )


def open_journal(state_dir: Path, host: str) -> SqliteJournal:
    """Return the journal of a host, in a folder of its own within `state_dir`.

    Raises JournalInUse where another agent of this host runs, JournalFailed where the disk refuses.
    """
    folder = state_dir / host
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return SqliteJournal(folder / JOURNAL_FILE)


def partitions_of(reader: LogReader, event_topic: str) -> int:
    """Return the number of partitions that the event topics have; raises UnknownTopic."""
    return reader.topic(event_topic).partitions
