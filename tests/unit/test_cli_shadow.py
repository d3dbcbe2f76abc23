"""Recordings of a real nova, replayed through the command: rows end where nova's API ended."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from regente.cli.app import run

TRACES = Path(__file__).parents[1] / "data" / "traces"


def replayed(path: Path, *options: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    out = StringIO()
    status = run(["shadow", "replay", str(path), *options, "-f", "json"], out=out, err=StringIO())
    return status, json.loads(out.getvalue())


#: Told by no notification: where a live migration was to go that left its queue unstarted.
DEST_UNTOLD = {"live_queued_abort_alone"}


def check_ending(name: str) -> None:
    """Replay a recording; its rows have to end where nova's API ended."""
    path = TRACES / f"{name}.api.json"
    answer = json.loads(path.read_text()) if path.exists() else {"servers": []}

    status, found = replayed(TRACES / f"{name}.notifications.jsonl")

    rows = {row["uuid"]: row for row in found["instances"]}
    assert (status, found["rejections"], found["quarantine"]) == (0, [], []), name
    servers = [s for s in answer.get("servers") or [answer.get("server")] if s]
    for server in servers:
        row = rows[server["id"]]
        assert (row["vm_state"], row["task_state"], row["power_state"], row["host"]) == (
            server["OS-EXT-STS:vm_state"],
            server["OS-EXT-STS:task_state"],
            server["OS-EXT-STS:power_state"],
            server["OS-EXT-SRV-ATTR:host"],
        ), name
    names = ["instance_uuid", "migration_type", "status", "source_compute"]
    names += [] if name in DEST_UNTOLD else ["dest_compute"]
    asked = {server["id"] for server in servers}
    moves = [m for m in found["migrations"] if m["instance_uuid"] in asked]
    assert sorted([m[n] for n in names] for m in moves) == sorted(
        [m[n] for n in names] for m in answer.get("migrations", [])
    ), name


@pytest.mark.parametrize(
    "name", ["live_ok", "resize_stopped_confirm", "create_servers_interleaved", "evacuate_active"]
)
def test_rows_end_where_novas_api_ended(name: str) -> None:
    check_ending(name)


def test_what_nova_leaves_stuck_is_named_in_the_folder_that_is_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    recording = TRACES / "init_resize_finish_crash.notifications.jsonl"

    _, found = replayed(recording, "--keep", str(kept))

    assert [(s["operation"], s["task_state"]) for s in found["stuck"]] == [
        ("resize", "resize_finish")
    ]
    out = StringIO()
    assert run(["--state-dir", str(kept), "saga", "list", "--stuck", "-f", "json"], out=out) == 0
    assert [s["instance_uuid"] for s in json.loads(out.getvalue())] == [
        found["instances"][0]["uuid"]
    ]


def test_lines_that_are_no_notifications_are_listed_and_the_rest_is_read(tmp_path: Path) -> None:
    lines = (TRACES / "pause_unpause.notifications.jsonl").read_bytes().splitlines()
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_bytes(b"\n".join([b"{", *lines, b"\xff\xfe", b"[]", b""]))

    status, found = replayed(mixed)

    assert status == 0
    assert [row["line"] for row in found["quarantine"]] == [1, len(lines) + 2, len(lines) + 3]
    assert [row["vm_state"] for row in found["instances"]] == ["active"]
