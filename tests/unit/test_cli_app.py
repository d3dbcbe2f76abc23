"""The command line as a whole: help, statuses, suggestions, and trouble in one sentence."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest

from events.errors import LogUnavailable
from regente.cli.app import COMMANDS, run
from regente.cli.command import Refused, confirmed
from regente.cli.exits import MEANINGS, Exit
from regente.cli.trouble import explained


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGENTE_STATE_DIR", "state")


def said(*argv: str) -> tuple[int, str, str]:
    """Run a command; return status, output, and what it said beside."""
    out, err = StringIO(), StringIO()
    status = run(argv, out=out, err=err)
    return status, out.getvalue(), err.getvalue()


def test_help_has_a_line_for_every_command() -> None:
    status, out, _ = said("--help")

    assert status == 0
    lines = [line.strip() for line in out.splitlines()]
    assert [c for c in COMMANDS if not any(line.startswith(f"{c} ") for line in lines)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_of_its_own_that_names_its_statuses(command: str) -> None:
    status, out, _ = said(*command.split(), "--help")

    assert status == 0
    assert f"usage: regente {command}" in out
    assert "exit status: 0 done;" in out


def test_every_status_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Exit)


def test_a_mistyped_command_is_answered_with_those_that_may_be_meant() -> None:
    status, out, _ = said("instnace", "list")

    assert status == 2
    assert "Did you mean one of these?" in out
    assert "instance list" in out


def test_no_command_at_all_is_answered_with_help() -> None:
    assert said()[1].startswith("usage: regente")


@pytest.mark.parametrize(
    "argv",
    [
        ("instance", "list"),
        ("log", "cat"),
        ("audit", "verify"),
        ("node", "enroll", "host1"),
        ("rules", "show"),
        ("request", "stop", "web1"),
        ("compute", "--host", "host1"),
        ("conductor",),
        ("db", "check"),
        ("rebuild", "--dry-run"),
        ("shadow", "replay", "nowhere.jsonl"),
        ("--config", "nowhere.toml", "config", "show"),
    ],
)
def test_what_is_not_there_is_one_sentence_and_status_2(argv: tuple[str, ...]) -> None:
    status, out, err = said(*argv)

    assert (status, out) == (2, "")
    assert err.startswith("regente: Expected ")
    assert err.count("\n") == 1


def test_a_missing_extra_is_named_with_the_remedy() -> None:
    sentence, status = explained(ModuleNotFoundError("…", name="sqlalchemy.orm"))

    assert status == 2
    assert sentence == (
        "Expected SQLAlchemy, which this command needs, but it is not installed:"
        " pip install 'regente[conductor]'."
    )


def test_errors_of_the_house_keep_their_sentence() -> None:
    assert explained(LogUnavailable("Expected a broker, but none.")) == (
        "Expected a broker, but none. Check that the brokers run, and [kafka] bootstrap_servers in"
        " `regente config show`.",
        Exit.UNABLE,
    )
    assert explained(Refused("No.", Exit.NO)) == ("No.", Exit.NO)


def test_what_nobody_foresaw_says_that_it_is_a_bug() -> None:
    sentence, status = explained(ZeroDivisionError("division by zero"))

    assert status == 255
    assert "a bug of ours" in sentence


def test_a_destructive_command_goes_on_only_if_somebody_is_sure() -> None:
    confirmed("all is lost", True)
    with pytest.raises(Refused, match="Expected --yes, because all is lost"):
        confirmed("all is lost", False)


def test_settings_are_shown_with_their_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGENTE_DATABASE__CONNECTION", "postgresql://me:secret@db/regente")

    status, out, _ = said("config", "show", "-f", "json")

    assert status == 0
    rows = {(row["group"], row["option"]): row for row in json.loads(out)}
    assert rows["DEFAULT", "state_dir"]["origin"] == "environment REGENTE_STATE_DIR"
    assert rows["conductor", "topic"]["origin"] == "default"
    assert rows["database", "connection"]["value"] == "postgresql://me:***@db/regente"


@pytest.mark.parametrize("form", ["table", "json", "yaml", "csv", "value"])
def test_lists_come_in_every_form(form: str) -> None:
    status, out, _ = said("config", "show", "-f", form)

    assert status == 0
    assert "migrate_max_retries" in out
