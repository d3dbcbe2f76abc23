"""Hosts that speak at a steady rate: each from its SQLite journal, by the agent's own emitter.

What is due is written into the journal in one transaction, then sealed, appended to the log and
marked as sent by `compute.emitter`. Users and the scheduler, who have no journal, append at once.
Each speaks in a thread, over a connection of its own to the brokers.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from bench.load import KEYRING, Load, open_log
from compute.emitter import Emitter
from compute.journal import Entry, Journal
from compute.node import Node
from compute.sqlite_journal import SqliteJournal
from events.codec import decode_fact
from events.envelope import COMPUTE, Meta
from events.log import Message

#: Seconds before the first fact: hosts connect, and the reader takes its partitions over.
READY_S: Final = 4.0


class Said(NamedTuple):
    """When a fact was due to be said, and when the append began that brought it into the log."""

    due: float
    appended: float


class Fact(NamedTuple):
    """What is to be said, and when."""

    due: float
    message: Message
    meta: Meta
    kind: str


#: (partition, offset) → when it was said.
Times = dict[tuple[int, int], Said]


def speak(load: Load, messages: Sequence[Message], rate: float, folder: Path) -> Times:
    """Say messages at a rate, each by its writer; return when each was said, by its place."""
    begin = time.time() + READY_S
    by_source: dict[str, list[Fact]] = {}
    for number, message in enumerate(messages):
        meta, fact = decode_fact(message.value or b"")
        due = Fact(begin + number / rate, message, meta, type(fact).__name__)
        by_source.setdefault(meta.source, []).append(due)
    # Twenty hosts are one process here, and all that they will say is in it: the collector would
    # look through that again and again, and all hosts would stand still together.
    gc.collect()
    gc.freeze()
    with ThreadPoolExecutor(len(by_source)) as pool:
        saying = [
            pool.submit(_say, load, source, facts, folder) for source, facts in by_source.items()
        ]
        return {place: said for each in saying for place, said in each.result().items()}


def _say(load: Load, source: str, facts: Sequence[Fact], folder: Path) -> Times:
    writer = _Noting(load, facts)
    if not source.startswith(COMPUTE):
        for chunk in _as_due(facts):
            writer.append([each.message for each in chunk])
        writer.close()
        return writer.times
    host = source.removeprefix(COMPUTE)
    journal = SqliteJournal(folder / f"{host}.journal")
    node = Node(host=host, key=KEYRING.key(host, 1), partitions=load.partitions, topics=load.topics)
    emitter = Emitter(node=node, journal=journal, writer=writer)
    for chunk in _as_due(facts):
        _write(journal, chunk)
        while not emitter.is_empty:
            emitter.turn()
    writer.close()
    journal.close()
    return writer.times


class _Noting:
    """A writer that notes where each message went, and when its append began."""

    def __init__(self, load: Load, facts: Sequence[Fact]) -> None:
        self._writer = open_log(load.address).writer()
        self._writer.append(())  # Connected from here on.
        self._due = {each.message.value: each.due for each in facts}
        self.times: Times = {}

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Append; raises LogUnavailable."""
        began = time.time()
        offsets = self._writer.append(messages)
        for message, offset in zip(messages, offsets, strict=True):
            self.times[message.partition, offset] = Said(self._due[message.value], began)
        return offsets

    def close(self) -> None:
        """Release the connection."""
        self._writer.close()


def _as_due(facts: Sequence[Fact]) -> Iterator[Sequence[Fact]]:
    """Yield facts when they are due; what became due meanwhile comes together."""
    done = 0
    while done < len(facts):
        now, end = time.time(), done
        while end < len(facts) and facts[end].due <= now:
            end += 1
        if end == done:
            time.sleep(facts[done].due - now)
        else:
            yield facts[done:end]
            done = end


def _write(journal: Journal, facts: Sequence[Fact]) -> None:
    with journal.transaction():
        for _, message, meta, kind in facts:
            journal.append(
                Entry(
                    number=0,
                    topic=message.topic,
                    partition=message.partition,
                    subject=meta.instance_id,
                    sequence=meta.sequence,
                    prev=dict(message.headers)["prev"] or b"",
                    value=message.value or b"",
                    kind=kind,
                    command_id=meta.command_id,
                    written_at_us=meta.occurred_at,
                )
            )
