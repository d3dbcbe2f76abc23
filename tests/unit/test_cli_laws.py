"""`regente audit verify` asks for the conservation laws: each is named where rows break it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from conductor.bodies import HELD_CODEC
from events.values import replace
from regente.cli.app import run
from tests.unit.test_cli_cloud import Cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud in which a guest waits for its migration to be confirmed."""
    made = Cloud(tmp_path_factory.mktemp("laws") / "state")
    made.ask("create", "web1", flavor="m1.small")
    made.ask("migrate", "web1")
    made.until_idle()
    yield made
    made.embedded.stop()


@pytest.mark.parametrize(
    ("change", "law"),
    [
        ("UPDATE instances SET host = 'nowhere'", "one owner per instance"),
        ("UPDATE instance_states SET instance_uuid = 'nobody'", "one owner per instance"),
        ("UPDATE nodes SET vcpus = 0", "room taken is room claimed"),
        ("DELETE FROM claims", "room taken is room claimed"),
        ("UPDATE claims SET host = 'nowhere'", "claims are confirmed or released"),
        ("UPDATE migrations SET status = 'running', id = id + 1", "migrations end"),
        ("UPDATE instance_actions SET finish_time = NULL", "actions and their events end"),
        ("UPDATE instance_actions_events SET finish_time = NULL", "actions and their events end"),
    ],
)
def test_verify_names_the_law_that_rows_break(cloud: Cloud, change: str, law: str) -> None:
    status, out = cloud.command("audit", "verify", "-f", "json")
    assert (status, json.loads(out)["laws_kept"]) == (0, True)
    assert set(json.loads(out)["laws"].values()) == {"kept"}
    with sqlite3.connect(cloud.embedded.folder.rows) as rows:
        assert rows.execute(change).rowcount
    rows.close()

    status, out = cloud.command("audit", "verify", "-f", "json")

    found = json.loads(out)
    assert (status, found["laws_kept"]) == (1, False)
    assert all(sentence.startswith("Expected ") for sentence in found["laws"][law])
    assert cloud.command("rebuild", "--yes")[0] == 0


def test_verify_names_two_sizes_that_are_claimed_on_one_host(cloud: Cloud) -> None:
    cloud.ask("create", "web2", flavor="m1.small")
    cloud.until_idle()
    with sqlite3.connect(cloud.embedded.folder.rows) as rows:
        bodies = rows.execute("SELECT instance_uuid, body FROM instance_states").fetchall()
        states = {uuid: HELD_CODEC.decode(body) for uuid, body in bodies}
        (held,) = (each for each in states.values() if each.name == "web2")
        (claim,) = held.claims
        larger = replace(claim, saga_id="00000000-0000-4000-8000-000000000001", vcpus=4)
        body = HELD_CODEC.encode(replace(held, claims=(claim, larger)))
        place = (held.instance_id,)
        rows.execute("UPDATE instance_states SET body = ? WHERE instance_uuid = ?", (body, *place))
        rows.execute(
            "INSERT INTO claims SELECT instance_uuid, ?, host, ?, memory_mb, disk_gb, created_at"
            " FROM claims WHERE instance_uuid = ?",
            (larger.saga_id, larger.vcpus, *place),
        )
    rows.close()

    status, out = cloud.command("audit", "verify", "-f", "json")

    laws = {law: found for law, found in json.loads(out)["laws"].items() if found != "kept"}
    assert (status, list(laws)) == (1, ["claims are confirmed or released"])
    (sentence,) = laws["claims are confirmed or released"]
    assert f"Expected of instance {held.instance_id} room for " in sentence
    assert f"alone on {held.host}, as no resize is open" in sentence
    assert cloud.command("rebuild", "--yes")[0] == 0


def test_a_verify_that_can_not_keep_what_it_found_answers_and_names_the_file(
    cloud: Cloud, tmp_path: Path
) -> None:
    cloud.until_idle()
    (tmp_path / "file").write_text("")
    place, said = tmp_path / "file" / "audit", StringIO()
    folder = ("--state-dir", str(cloud.settings.state_dir))

    status = run(
        [*folder, "audit", "verify", "--state", str(place), "-f", "json"], out=StringIO(), err=said
    )

    assert status == 0
    assert f"Expected to keep in {place}/verified.sqlite what the verify found" in said.getvalue()
    assert "bug" not in said.getvalue()
