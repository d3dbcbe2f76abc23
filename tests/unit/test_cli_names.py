"""How commands find the instance that is meant: by uuid, or by a name that one of them has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from regente.asking import Wish
from regente.cli.app import run
from regente.naming import UnknownThing
from tests.unit.test_cli_cloud import Cloud

UNKNOWN = "7a1f0a3e-52c4-4c5c-8a6e-0d1f3f1f5b11"


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Two instances of one name, and one of another."""
    made = Cloud(tmp_path_factory.mktemp("cloud") / "state")
    made.ask("create", "twin", flavor="m1.tiny")
    made.ask("create", "twin", flavor="m1.tiny")
    made.ask("create", "single", flavor="m1.tiny")
    yield made
    made.embedded.stop()


def said(cloud: Cloud, *argv: str) -> tuple[int, str]:
    """Run a command, and return its status and what it says on stderr."""
    err = StringIO()
    folder = ("--state-dir", str(cloud.settings.state_dir))
    return run([*folder, *argv], out=StringIO(), err=err), err.getvalue()


def test_a_request_names_one_instance_or_nothing_is_asked(twins: Cloud) -> None:
    uuids = [
        str(row["uuid"]) for row in twins.rows("instance", "list") if row["display_name"] == "twin"
    ]

    with twins.desk() as (desk, _), pytest.raises(UnknownThing) as error:
        desk.send(Wish(action="delete", instance="twin"))

    assert str(error.value).startswith("Expected one instance of the name twin, but there are 2: ")
    assert all(uuid in str(error.value) for uuid in uuids)
    assert twins.ask("stop", uuids[0]).verdict == "accepted"


@pytest.mark.parametrize(
    "command",
    [
        ("instance", "show"),
        ("instance", "history"),
        ("audit", "replay", "--instance"),
        ("rebuild", "--dry-run", "--instance"),
        ("log", "cat", "--instance"),
    ],
)
def test_a_name_that_two_have_or_nobody_has_is_answered_with_what_to_name(
    twins: Cloud, command: tuple[str, ...]
) -> None:
    status, sentence = said(twins, *command, "twin")
    assert status == 1
    assert "Expected one instance of the name twin, but there are 2: " in sentence

    status, sentence = said(twins, *command, "nobody")
    assert status == 1
    assert "Expected an instance with uuid or name nobody, but there is none" in sentence


@pytest.mark.parametrize("command", [("audit", "replay"), ("rebuild", "--dry-run")])
def test_a_name_that_one_has_is_as_good_as_its_uuid(twins: Cloud, command: tuple[str, ...]) -> None:
    (uuid,) = (
        row["uuid"] for row in twins.rows("instance", "list") if row["display_name"] == "single"
    )

    by_name = twins.command(*command, "--instance", "single", "-f", "json")

    assert by_name[0] == 0
    assert by_name == twins.command(*command, "--instance", str(uuid), "-f", "json")


def test_an_instance_that_the_log_does_not_know_is_not_made(twins: Cloud) -> None:
    status, sentence = said(twins, "rebuild", "--instance", UNKNOWN, "--yes")

    assert (status, f"Expected the log to know {UNKNOWN}" in sentence) == (2, True)


def test_the_refusal_of_a_create_is_found_under_the_uuid_that_it_would_have_had(
    twins: Cloud,
) -> None:
    refused = twins.ask("create", "big", flavor="huge")

    status, out = twins.command("instance", "history", refused.instance_uuid, "-f", "json")

    assert status == 0
    (row,) = json.loads(out)["rejections"]
    assert (row["code"], row["reason"]) == ("unknown-flavor", "Flavor huge could not be found.")
    assert said(twins, "instance", "history", UNKNOWN)[0] == 1


def test_a_replay_without_rows_asks_for_the_uuid(twins: Cloud, tmp_path: Path) -> None:
    folder = Path(str(twins.settings.state_dir))
    for each in ("log.sqlite", "master.key"):
        (tmp_path / each).write_bytes((folder / each).read_bytes())
        (tmp_path / each).chmod(0o600)
    err = StringIO()

    argv = ["--state-dir", str(tmp_path), "audit", "replay", "--instance", "twin"]
    status = run(argv, out=StringIO(), err=err)

    assert status == 2
    assert "a uuid needs none" in err.getvalue()
