"""What is outstanding is a function of the state, and its bytes are always the same."""

from __future__ import annotations

from events.codec import encode_command
from events.instance import GuestAbsent, GuestFound
from events.values import replace
from statemachines.resume import RESEND, react, resume
from statemachines.verdict import Early
from tests.answers import argument
from tests.beginnings import begin, built, situations
from tests.hosts import World
from tests.story import must


def test_nothing_is_outstanding_of_nothing() -> None:
    assert resume(None) == ()
    assert react(None, None) == ()


def test_a_state_that_did_not_change_calls_for_nothing() -> None:
    world = begin("stop")
    touched = replace(world.here, updated_at=1)

    assert react(world.held, world.held) == ()
    assert react(world.held, touched) == ()


def test_the_letters_of_a_state_have_the_same_bytes_every_time() -> None:
    for world in situations().values():
        once = [encode_command(x) for x in resume(world.held)]
        assert once == [encode_command(x) for x in resume(world.held)]


def test_a_letter_is_addressed_by_its_saga() -> None:
    world = begin("stop")
    (letter,) = world.letters

    assert letter.address.saga == "stop"
    assert letter.address.step == "ask"
    assert letter.address.attempt == 1
    assert letter.address.host == "h1"
    assert letter.address.generation == world.here.generation
    assert letter.address.request_id == world.saga.request_id


def test_a_new_attempt_is_a_new_command_and_the_old_one_is_forgotten() -> None:
    world = begin("stop")
    (first,) = world.letters
    must(world.time_out("h1"))
    (second,) = world.letters

    assert first.address.command_id != second.address.command_id
    assert first.command == second.command


def test_a_saga_that_waits_for_a_person_asks_nothing() -> None:
    world = begin("revert_resize")
    must(world.lose("h2"))

    assert world.letters == ()


def gap(world: World, host: str = "h9") -> None:
    """Let the first fact of a host be missing."""
    world.next_of(host, GuestFound(power_state=1))
    assert isinstance(world.unasked(host, GuestFound(power_state=1)).verdict, Early)


def test_a_gap_asks_for_what_is_missing_once() -> None:
    world = built()
    gap(world)
    (letter,) = world.letters
    assert letter.address.saga == RESEND
    assert argument(letter, "from_sequence") == 1

    outcome = world.unasked("h9", GuestAbsent())

    assert outcome.commands == ()
    assert world.letters == (letter,)


def test_a_gap_is_asked_for_again_under_a_new_generation() -> None:
    world = built()
    gap(world)
    (before,) = world.letters

    must(world.request("stop"))

    after = world.letters[-1]
    assert after.address.saga == RESEND
    assert after.address.generation == world.here.generation
    assert after.address.command_id != before.address.command_id


def test_gaps_of_several_hosts_are_asked_of_each() -> None:
    world = built()
    gap(world, "h8")
    gap(world, "h9")

    assert world.orders == [("ResendFacts", "h8"), ("ResendFacts", "h9")]
