"""A sample of the failure matrix; `make matrix` runs all of it."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest

from tests.simulation.cells import BREAKING, cells, lets_in, not_applicable, parse
from tests.simulation.matrix import State, run, story, summary
from tests.simulation.matrix_run import sample
from tests.simulation.planted import PLANTED
from tests.simulation.routes import operations, route_to

SAMPLE: Final = 2_000
#: A test of twenty takes about as long as others of its kind, and workers share them well.
CHUNK: Final = 20
#: A step without a command has cells for the conductor and the database alone.
CELLS_MIN: Final = 20
#: Cells in which a planted mistake shows.
CAUGHT: Final = {
    "unconditional checkpoint": "resize/prepare/before/conductor:stop",
    "cache kept after a failed COMMIT": "confirm_resize/clean_source/after-effect/database:crash",
    "mark before send": "resize/restore_source/after-journal/source:stop",
    "random command id": "resize/restore_source/after-send/conductor:crash",
    "generation ignored": "live_migration/prepare/before/source:disk-full",
    "guest destroyed without evidence": "live_migration/prepare/before/source:power",
    "claim not released": "live_migration/roll_back_source/after-send/destination:power",
    "timer on an outage": "confirm_resize/clean_source/before/log:stop",
}
#: Cells in which a law was broken, each in a way of its own.
MENDED: Final = (
    "live_migration/adopt/before/destination:power+user:reset_state",
    "live_migration/adopt/before/answer:StepHostLost+user:reset_state",
    "live_migrate_paused/queue/before/user:evacuate+user:reset_state",
    "live_migration/finish/before/user:soft_delete",
    "evacuate/rebuild/before/destination:cut-off+user:reboot_hard",
    "revert_resize/give_up/before/destination:disk-full",
    "revert_resize_same_host/give_up/before/source:disk-full",
    "resume/ask/before/user:reboot_hard+source:cut-off",
    "resume/ask/before/user:reboot_hard+source:power",
    "reboot_hard_suspended/ask/after-effect/source:cut-off",
    "shelve_suspended/shelve/after-effect/operator:compensate",
    "shelve_suspended/shelve/after-journal/source:cut-off",
    "reboot_hard_suspended/ask/before/answer:GuestRebootIgnored",
    "resize/give_back/before/answer:ResizeRevertFailed+user:stop",
    "resize/finish/before/answer:StepHostLost",
    "resize/finish/before/answer:ResizeFinishFailed",
    "resize/migrate/after-effect/source:stop",
    "resize_same_host/finish/after-journal/source:stop+user:live_migrate_abort",
    "resize_same_host/take_back/before/answer:RevertFinishFailed+user:stop",
    "resize_same_host/finish/before/answer:ResizeFinishFailed+source:crash",
    "resize_same_host/finish/before/source:cut-off+user:reset_state=active",
)
STEPS: Final = [(name, step) for name, table in operations().items() for step in table.steps]


@pytest.mark.parametrize("first", range(0, SAMPLE, CHUNK))
def test_every_law_holds_whatever_befalls_whoever_at_a_step(first: int) -> None:
    results = [run(cell) for cell in sample(SAMPLE)[first : first + CHUNK]]

    failed = [each for each in results if each.state is State.FAILED]
    assert not failed, "\n".join(story(each) for each in failed)


@pytest.mark.parametrize("text", MENDED)
def test_every_law_holds_where_one_was_broken(text: str) -> None:
    result = run(parse(text))

    assert result.state is State.PASSED, story(result)


@pytest.mark.parametrize(("operation", "step"), STEPS)
def test_a_way_leads_to_every_step_of_every_operation(operation: str, step: str) -> None:
    assert route_to(operation, step) is not None


def test_every_step_of_every_operation_has_cells_that_are_run() -> None:
    possible = Counter((c.operation, c.step) for c in cells() if not_applicable(c) is None)

    assert [each for each in STEPS if possible[each] < CELLS_MIN] == []


@pytest.mark.parametrize("name", CAUGHT)
def test_a_planted_mistake_is_caught_and_nothing_is_found_without_it(name: str) -> None:
    cell = parse(CAUGHT[name])
    honest = run(cell)
    with PLANTED[name].switch():
        result = run(cell)

    assert honest.state is State.PASSED, story(honest)
    assert result.state is State.FAILED
    assert f"again: make matrix CELL={cell}" in story(result)


def test_a_cell_is_named_by_its_text_and_ends_the_same_each_time() -> None:
    text = "live_migration/migrate/after-effect/source:crash"

    assert str(parse(text)) == text
    assert run(parse(text)) == run(parse(text))


def test_a_hard_reboot_breaks_into_whatever_nova_lets_it_and_into_nothing_else() -> None:
    tables = operations()
    broken_into = {name for name, table in tables.items() if lets_in(table, BREAKING)}
    asked = {c.operation for c in cells() if str(c.first) == f"user:{BREAKING}"}

    assert asked == broken_into
    assert {"resume", "suspend", "pause", "unpause", "reboot_soft", "debt"} < broken_into
    assert not broken_into & {"create", "resize", "live_migration", "rebuild", "confirm_resize"}


def test_what_is_not_applicable_says_why() -> None:
    result = run(parse("stop/ask/before/destination:crash"))

    assert result.state is State.NOT_APPLICABLE
    assert "not applicable      1: the operation has no destination" in summary([result])


@pytest.mark.parametrize("text", ["stop", "fly/ask/before/source:crash", "stop/ask/soon/a:b"])
def test_what_is_no_cell_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expected|unpack|valid"):
        parse(text)
