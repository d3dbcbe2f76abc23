"""The rules as tables and pictures: complete, and the pages in docs are up to date."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest

from regente.cli.app import run
from regente.diagrams import document, drawings
from statemachines.arrows import table
from statemachines.diagram import saga as draw_saga
from statemachines.diagram import vm_states
from statemachines.machine import KEEP
from statemachines.saga import To, branches
from statemachines.sagas import SAGAS

DIAGRAMS = Path(__file__).parents[2] / "docs" / "diagrams"


def output(*argv: str) -> tuple[int, str]:
    out = StringIO()
    return run(argv, out=out, err=StringIO()), out.getvalue()


def test_the_table_has_a_row_for_every_action_and_pair_of_states() -> None:
    status, out = output("machine", "table", "-f", "json")

    rows = json.loads(out)
    assert status == 0
    assert len(rows) == 59 * 12 * 43
    assert {
        "action": "stop",
        "vm_state": "active",
        "task_state": None,
        "allowed": True,
        "sets_task_state": "powering-off",
    } in rows


@pytest.mark.parametrize("name", drawings())
def test_the_diagrams_in_docs_are_up_to_date(name: str) -> None:
    title, drawn = drawings()[name]

    assert (DIAGRAMS / f"{name}.md").read_text("utf-8") == document(title, drawn), "run make draw"


def test_no_diagram_in_docs_is_of_something_that_is_gone() -> None:
    assert {path.stem for path in DIAGRAMS.glob("*.md")} == set(drawings())


def test_every_arrow_that_changes_a_vm_state_is_drawn() -> None:
    drawn = vm_states(table().arrows)

    for arrow in table().arrows:
        if arrow.vm_state != KEEP:
            assert arrow.trigger.replace(":", " ") in drawn


@pytest.mark.parametrize("name", SAGAS)
def test_every_step_and_every_way_of_a_saga_is_drawn(name: str) -> None:
    saga = SAGAS[name]

    drawn = draw_saga(saga)

    for step in saga.steps.values():
        assert f"{step.name} -->" in drawn
        for fact, next_ in step.on.items():
            assert fact in drawn
            for way in branches(next_):
                assert not isinstance(way, To) or f"--> {way.step}" in drawn


def test_one_machine_is_drawn_by_name() -> None:
    status, out = output("machine", "draw", "resize")

    assert status == 0
    assert out == drawings()["resize"][1]


def test_all_are_written_into_a_folder(tmp_path: Path) -> None:
    status, _ = output("machine", "draw", "--all", str(tmp_path / "here"))

    assert status == 0
    assert {path.stem for path in (tmp_path / "here").iterdir()} == set(drawings())


def test_a_machine_that_nobody_knows_is_refused_with_those_there_are() -> None:
    err = StringIO()

    assert run(["machine", "draw", "nothing"], out=StringIO(), err=err) == 1
    assert "live_migration" in err.getvalue()
