"""The id of a command is not kept, but found again from what was asked."""

from __future__ import annotations

from events.values import replace
from statemachines.addressing import id_of, inherited
from statemachines.held import SagaState
from tests.beginnings import situations


def sagas() -> list[SagaState]:
    """Return a saga of every situation in which one has asked something."""
    here = [world.here.saga for world in situations().values()]
    return [saga for saga in here if saga is not None and saga.asked]


def test_what_a_predecessor_asked_keeps_its_id_however_often_it_is_inherited() -> None:
    assert sagas()
    for saga in sagas():
        ids = [id_of(saga, asked) for asked in saga.asked]
        heir = replace(saga, saga_id="a", saga="delete", asked=inherited(saga))
        last = replace(saga, saga_id="b", saga="evacuate", asked=inherited(heir))

        assert [id_of(heir, asked) for asked in heir.asked] == ids
        assert [id_of(last, asked) for asked in last.asked] == ids


def test_no_two_commands_of_a_saga_have_one_id() -> None:
    for saga in sagas():
        ids = {id_of(saga, asked) for asked in saga.asked}

        assert len(ids) == len(saga.asked)
