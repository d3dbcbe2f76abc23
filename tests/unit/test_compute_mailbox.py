from __future__ import annotations

import pytest

from compute.limits import CUT_OFF_S
from events import commands as c
from events import instance as i
from events.codec import encode_command
from events.log import TopicPartition
from events.seal import command_key, sealed_message
from events.values import replace
from tests.unit.compute_host import (
    GUEST,
    KEYRING,
    OTHER,
    SMALL,
    TOPICS,
    Host,
)

BUILD = c.BuildGuest(flavor=SMALL, name="guest", image="image")
COMMANDS = TopicPartition(TOPICS.commands("alpha"), 0)


def test_a_host_that_was_cut_off_does_not_do_what_was_superseded_meanwhile() -> None:
    host = Host()
    host.has()
    stop = host.ask(c.StopGuest(), generation=1)
    host.ask(c.RaiseGeneration(), generation=2)

    host.settle()

    assert [type(fact).__name__ for fact in host.answers(stop)] == ["CommandRefused"]
    assert host.kinds()[-2:] == ["GuestFound", "GenerationRaised"]
    assert host.cloud.world.running() == {GUEST: ("alpha",)}


def test_an_agent_that_slept_too_long_hears_the_topic_to_its_end_before_it_acts() -> None:
    host = Host()
    host.has()
    host.settle()
    host.cloud.clock.sleep(CUT_OFF_S + 1)
    stop = host.ask(c.StopGuest(), generation=1)
    host.ask(c.RaiseGeneration(), generation=2)

    host.settle()

    assert [type(fact).__name__ for fact in host.answers(stop)] == ["CommandRefused"]


def test_a_command_for_another_host_is_refused() -> None:
    host = Host()
    letter = host.ask(c.StopGuest())
    moved = replace(letter, address=replace(letter.address, command_id="c", host="beta"))
    host.send(moved)
    host.settle()

    (answer,) = host.answers(moved)

    assert isinstance(answer, i.CommandRefused)
    assert answer.code == "other-host"


@pytest.mark.parametrize("forger", ["beta", "conductor"])
def test_a_forged_command_is_counted_and_dropped(forger: str) -> None:
    host = Host()
    host.has()
    letter = host.ask(c.StopGuest(), attempt=2)
    message = sealed_message(
        topic=TOPICS.commands("alpha"),
        partition=0,
        key=GUEST,
        value=encode_command(letter),
        prev=b"",
        by=command_key(KEYRING.key(forger, 1)),
    )
    host.cloud.log.truncate(COMMANDS, 0)
    host.cloud.log.append([message])

    host.settle()

    assert host.kinds() == ["GuestFound"]
    assert host.parts.agent.dropped.forged_count == 1


def test_a_command_under_another_instances_key_is_dropped() -> None:
    host = Host()
    letter = host.ask(c.StopGuest())
    message = sealed_message(
        topic=TOPICS.commands("alpha"),
        partition=0,
        key=OTHER,
        value=encode_command(letter),
        prev=b"",
        by=command_key(host.key),
    )
    host.cloud.log.truncate(COMMANDS, 0)
    host.cloud.log.append([message])

    host.settle()

    assert host.parts.agent.dropped.forged_count == 1
    assert host.kinds() == []


def test_what_no_schema_reads_is_counted_and_does_not_stop_the_host() -> None:
    host = Host()
    message = sealed_message(
        topic=TOPICS.commands("alpha"),
        partition=0,
        key=GUEST,
        value=b"\xc3\x01nonsense",
        prev=b"",
        by=command_key(host.key),
    )
    host.cloud.log.append([message])
    letter = host.ask(BUILD)

    host.settle()

    assert host.parts.agent.dropped.unreadable_count == 1
    assert host.answers(letter)[-1] == i.GuestBuilt(power_state=1)


def test_a_command_topic_that_was_made_anew_is_read_from_its_start_after_a_new_report() -> None:
    host = Host()
    host.ask(BUILD)
    host.settle()
    host.cloud.log.delete_topic(COMMANDS.topic)
    host.cloud.log.admin().create([TOPICS.command_spec("alpha")])
    stop = host.ask(c.StopGuest())

    host.settle()

    assert host.kinds()[-2:] == ["GuestFound", "GuestStopped"]
    assert host.said()[-1][0].boot_epoch == 2
    assert host.answers(stop) == [i.GuestStopped(power_state=4)]


def test_commands_that_expired_unread_do_not_stop_the_host() -> None:
    host = Host()
    host.has()
    host.ask(c.StopGuest())
    start = host.ask(c.StartGuest())
    host.parts.agent.turn()
    host.parts.agent.turn()
    host.die()
    host.cloud.log.delete_before(COMMANDS, 1)

    host.settle()

    assert host.answers(start)[-1] == i.GuestStarted(power_state=1)
