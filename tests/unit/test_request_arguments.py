"""What a request may name: a name that its action does not know is refused, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from statemachines.permissions import PERMISSIONS
from statemachines.refused import NAME_MAX, UNSUPPORTED
from statemachines.request_arguments import ARGUMENTS, TO_A_HOST
from statemachines.verdict import Rejected
from tests.beginnings import built
from tests.hosts import World

CARRIED_OUT = sorted(PERMISSIONS.keys() - UNSUPPORTED.keys())


def refusal(world: World, action: str, **fields: Any) -> Rejected:
    """Ask, and return why it was refused."""
    verdict = world.request(action, **fields).verdict
    assert isinstance(verdict, Rejected), verdict
    return verdict


@pytest.mark.parametrize("action", CARRIED_OUT)
def test_a_name_that_the_action_does_not_know_is_refused_with_those_that_it_does(
    action: str,
) -> None:
    world = World() if action == "create" else built()

    found = refusal(world, action, arguments={"hsot": "h2"})

    assert found.code == "bad-request"
    assert found.sentence.endswith(f"in a request for {action}, but it names 'hsot'.")
    assert all(name in found.sentence for name in ARGUMENTS[action])


@pytest.mark.parametrize("action", [a for a in CARRIED_OUT if a not in TO_A_HOST])
def test_a_host_is_refused_where_an_action_leads_to_none(action: str) -> None:
    found = refusal(built(), action, host="h2", host_seen="up")

    assert found.code == "bad-request"
    assert found.sentence == f"Expected no host in a request for {action}, but it names h2."


@pytest.mark.parametrize("name", ["evidence", "started", "clears", "image_id"])
@pytest.mark.parametrize("action", ["delete", "evacuate", "snapshot", "shelve_offload"])
def test_what_the_house_gives_its_own_sagas_can_not_be_asked_for(action: str, name: str) -> None:
    assert refusal(built(), action, arguments={name: "moved"}).code == "bad-request"


def test_a_name_without_end_is_not_repeated_whole() -> None:
    found = refusal(built(), "stop", arguments={"x" * 10_000: "y"})

    assert "x" * NAME_MAX in found.sentence
    assert len(found.sentence) < 3 * NAME_MAX
