"""In which order what waits in the outbox goes."""

from __future__ import annotations

import pytest

from conductor.orders import RANK_MAX, rank_of
from statemachines.resume import resume
from tests.beginnings import begin
from tests.evacuations import evacuating, rebuilding
from tests.hosts import World


def ranks(world: World) -> dict[str, int]:
    """Return the rank of each command that is outstanding, by its name."""
    return {type(x.command).__name__: rank_of(x) for x in resume(world.here)}


@pytest.mark.parametrize(
    ("asked", "rank"), [({}, 5), ({"priority": "9"}, 1), ({"priority": "0"}, 10)]
)
def test_an_evacuation_goes_by_its_priority(asked: dict[str, str], rank: int) -> None:
    assert ranks(evacuating(arguments=asked)) == {"ChooseDestination": rank}
    assert ranks(rebuilding(arguments=asked)) == {"EvacuateGuest": rank}


def test_what_leads_out_overtakes_a_storm() -> None:
    assert ranks(begin("delete")) == {"DestroyGuest": 0}
    assert ranks(begin("reset_state")) == {"RaiseGeneration": 0}
    assert ranks(begin("live_migrate_abort"))["AbortLiveMigration"] == 0


def test_a_host_is_sought_for_a_new_guest_after_all_that_run_nowhere() -> None:
    assert ranks(begin("create")) == {"ChooseDestination": RANK_MAX}
    assert ranks(begin("stop")) == {"StopGuest": RANK_MAX // 2}
