"""A conductor stopped with commands in its buffer, fenced, then woken.

The operating system stops it between reading its outbox and sending. Its partitions go to another,
which sends the same commands. When it wakes, it sends what it had in hand, to a host that has done
it long ago: nothing is done twice, and none of its writes counts.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from conductor.wiring import Conductor, Options, Ports
from events.codec import decode_command, decode_fact
from events.commands import BuildGuest
from events.log import LogWriter, Message, TopicPartition
from events.memory_log import MemoryLog
from projections.rows import TABLES, Row
from tests.e2e.cloud import SMALL
from tests.integration.theatre import DOWN_S, Theatre, expel, theatre

UID = str(uuid.UUID(int=3))
HOST = "host2"
#: What changes when a host that has started is asked after its guests, which has its own time.
SEEN_AFTERWARDS = {"instances", "instance_states", "sagas", "saga_steps"}


class StopsBeforeSending:
    """A writer that stops once, with the first command in its hand, until it is woken."""

    def __init__(self, writer: LogWriter, commands: str) -> None:
        self._writer, self._commands = writer, commands
        self.once: Callable[[Sequence[Message]], None] | None = None
        #: What it held when it was stopped.
        self.held: Sequence[Message] = ()

    def append(self, messages: Sequence[Message]) -> tuple[int, ...]:
        if self.once is not None and messages[0].topic.startswith(self._commands):
            hook, self.once = self.once, None
            self.held = messages
            hook(messages)
        return self._writer.append(messages)

    def close(self) -> None:
        self._writer.close()


def conductor_with(stage: Theatre, writer: StopsBeforeSending) -> Conductor:
    """Return a conductor that speaks through a writer."""
    cloud = stage.cloud
    ports = Ports(
        group=cloud.log.group(f"{cloud.topics.prefix}.conductors"),
        reader=cloud.log.reader(),
        writer=writer,
        store=cloud.store(),
        clock=cloud.clock,
        keyring=cloud.keyring,
        topics=cloud.topics,
    )
    return Conductor(ports, Options(service_down_time_s=DOWN_S))


def everything(stage: Theatre) -> dict[str, list[Row]]:
    """Return the rows of every table that is a function of the log."""
    return {name: stage.table(name) for name in TABLES if name != "nodes"}


def epoch(stage: Theatre) -> int:
    """Return the epoch of the instance's partition."""
    home = stage.cloud.home(UID)
    found = {TopicPartition(c.topic, c.partition): c for c in stage.store.checkpoints()}
    return found[home].epoch


def test_a_conductor_stopped_with_commands_in_its_buffer_fenced_then_woken(tmp_path: Path) -> None:
    with theatre(tmp_path) as stage:
        stage.lose_conductor()
        writer = StopsBeforeSending(stage.cloud.log.writer(), stage.cloud.topics.commands(""))
        zombie = stage.conductor = conductor_with(stage, writer)
        stage.rest()
        seen: list[str] = []
        writer.once = lambda _: seen.extend(while_it_is_stopped(stage, zombie))

        # It is asked for a guest, and is stopped in the very turn in which it sends BuildGuest …
        stage.cloud.request("create", UID, flavor=SMALL, host=HOST)
        while not seen:
            assert zombie.turn() or stage.turn()
        # … and now it has woken: its late command is in the topic, its own writes were fenced.
        is_woken(stage, zombie, writer)


def while_it_is_stopped(stage: Theatre, zombie: Conductor) -> list[str]:
    """Another takes over, sends the same command, and the guest is built."""
    assert stage.names(UID) == ["ActionRequested", "DestinationChosen"]
    (saga,) = [s._asdict() for s in stage.table("sagas")]
    assert (saga["step"], saga["waits_for"], saga["status"]) == ("build", HOST, "running")
    assert (stage.count("outbox"), stage.count("timers")) == (1, 0)
    before = epoch(stage)

    expel(stage.cloud, zombie)
    stage.take_over()
    stage.until_said(UID, "GuestBuilt")
    stage.rest()

    assert epoch(stage) == before + 1
    assert (stage.count("outbox"), stage.count("timers")) == (0, 0)
    (row,) = [r._asdict() for r in stage.table("instances")]
    assert (row["vm_state"], row["task_state"], row["host"]) == ("active", None, HOST)
    return stage.names(UID)


def is_woken(stage: Theatre, zombie: Conductor, writer: StopsBeforeSending) -> None:
    """What it sends is the same command; the host answers with what it said before."""
    sent = commands_of(stage)
    assert [m.value for m in writer.held] == [sent[-1]]
    assert sent[0] == sent[-1], "Expected the same bytes from both owners"
    (first, second) = [decode_command(value).address.command_id for value in sent]
    assert first == second
    rows, said = everything(stage), len(stage.said(UID))

    owner = stage.conductor
    assert owner is not None
    for _ in range(200):
        stage.turn()
        zombie.turn()
        stage.clock.now += 100_000

    # The host said the same once more, byte for byte; the judge knew it; no row has changed.
    assert len(stage.said(UID)) > said
    values = [record.value for record in records_of(stage)]
    repeated = [value for value in values[said:] if value in values[:said]]
    assert [type(decode_fact(v or b"")[1]).__name__ for v in repeated] == ["GuestBuilt"]
    after = everything(stage)
    assert {name for name in rows if after[name] != rows[name]} <= SEEN_AFTERWARDS
    assert after["rejections"] == []
    assert stage.world.executions()[first] == 1
    assert stage.world.running() == {UID: (HOST,)}
    assert (stage.count("outbox"), stage.count("timers")) == (0, 0)
    stage.proves_equal()


def commands_of(stage: Theatre) -> list[bytes]:
    """Return the commands about the instance in its host's topic, in order."""
    log, topic = stage.cloud.log, stage.cloud.topics.commands(HOST)
    assert isinstance(log, MemoryLog)
    found = log.partition(TopicPartition(topic, 0)).records
    values = [r.value for r in found if r.key == UID.encode() and r.value is not None]
    return [v for v in values if isinstance(decode_command(v).command, BuildGuest)]


def records_of(stage: Theatre) -> list[Message]:
    """Return the records about the instance, in order."""
    log = stage.cloud.log
    assert isinstance(log, MemoryLog)
    found = log.partition(stage.cloud.home(UID)).records
    kept = [r for r in found if r.key == UID.encode()]
    assert all(decode_fact(r.value or b"") for r in kept)
    return [Message(r.topic, r.partition, r.key, r.value, r.headers) for r in kept]
