"""Our notifications against nova's: types, publishers, payloads, order, and back into the shadow.

The plays of `tests.plays` are done again; what we would send is laid beside what the recorded nova
sent. What differs on purpose stands in `tests.different_notices`, line by line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from conductor.notifications.payloads import Data
from conductor.notifications.telling import Manner, notices_of
from conductor.notifications.words import WORDS
from events.nova_ingest import Ingest
from events.nova_wire import Notice, value_of
from statemachines import shadow
from statemachines.sagas import IMMEDIATE, SAGAS
from tests.different_notices import DIFFERENT
from tests.different_words import AS_LIBVIRT
from tests.plays import PLAYS, Play
from tests.recordings import data_of, notifications, uuids
from tests.stage import Played, Stage

ROOT: Final = Path(__file__).parents[2]
ALL: Final = Manner(notify_on_state_change="vm_and_task_state")
OURS: Final = ("instance.", "compute_task.")
#: Publishers that the recordings' one process named after whatever host it started last.
PLANE: Final = re.compile(r"^(nova-api|nova-conductor):.*")


@cache
def performed(name: str) -> Stage:
    """Return the stage after a play, its beginning not forgotten."""
    return PLAYS[name].perform()[0]


def ours(name: str, *, whole: bool = False) -> Iterator[Notice]:
    """Yield what we send of a play; of its beginning too where it is wanted whole."""
    stage = performed(name)
    for played in [*(stage.prelude if whole else ()), *stage.accepted()]:
        yield from _told(played)


def _told(played: Played) -> tuple[Notice, ...]:
    return notices_of(played.envelope, played.outcome, ALL)


def theirs(name: str, play: Play) -> Iterator[dict[str, Any]]:
    """Yield what the recorded nova sent of the server of a play."""
    uuid = uuids(name)[play.server]
    for notification in notifications(name):
        data = data_of(notification)
        about = data.get("uuid", data.get("instance_uuid"))
        if notification["event_type"].startswith(OURS) and about == uuid:
            yield notification


def line_of(publisher: str, event: str, data: Data) -> str:
    """Return a notification as one line: who says it, and the state that it shows."""
    by = "" if event == "instance.update" else PLANE.sub(r"\1", publisher) + " "
    states = f"{data.get('state')}/{data.get('task_state')}"
    return f"{by}{event} {states} {data.get('power_state')} {data.get('host')}"


def without_repeats(lines: list[str]) -> list[str]:
    """Leave out each update that shows what the update before it showed: nova has many."""
    kept: list[str] = []
    shown = ""
    for line in lines:
        is_update = line.startswith("instance.update")
        if not (is_update and line == shown):
            kept.append(line)
        if is_update:
            shown = line
    return kept


def lines_of(name: str) -> tuple[list[str], list[str]]:
    """Return nova's lines and ours."""
    nova = [
        line_of(n["publisher_id"], n["event_type"], data_of(n)) for n in theirs(name, PLAYS[name])
    ]
    mine = [line_of(n.publisher_id, n.event_type, _fields(n)) for n in ours(name)]
    return without_repeats(nova), without_repeats(mine)


def _fields(notice: Notice) -> Data:
    found = notice.payload["nova_object.data"]
    assert isinstance(found, dict)
    return found


# The order.


@pytest.mark.parametrize("name", sorted(PLAYS))
def test_the_notifications_are_novas_in_novas_order(name: str) -> None:
    nova, mine = lines_of(name)

    changed = [line for line in difflib.ndiff(nova, mine) if line[0] in "+-"]

    assert sorted(changed) == sorted(DIFFERENT[name].lines if name in DIFFERENT else [])


def test_every_difference_is_one_of_a_play_and_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()

    for name, differs in DIFFERENT.items():
        assert name in PLAYS
        assert f"\n| {differs.row}" in readme or differs.row.startswith(AS_LIBVIRT)


# The payloads.

#: What a log does not know, as docs/OPERATING.md lists it; the value is what stands there.
UNKNOWN: Final[dict[str, object]] = {
    "reservation_id": None,
    "display_description": None,
    "os_type": None,
    "architecture": None,
    "availability_zone": None,
    "key_name": None,
    "kernel_id": "",
    "ramdisk_id": "",
    "auto_disk_config": "MANUAL",
    "locked_reason": None,
    "shares": None,
    "ip_addresses": [],
    "block_devices": None,
    "metadata": {},
    "tags": [],
    "keypairs": [],
    "trusted_image_certificates": None,
}
#: Different in every run: names, ids, sizes, times.
OF_THE_RUN: Final = re.compile(
    r"uuid|image_id|user|project|tenant|display_name|host_name|instance_name|_at$|request_id|flavor|progress"
    r"|audit_period|state_update|fault|reason|request_spec|^host$|^node$|^locked$"
    # Compared in their order above.
    r"|state$"
)


def shape(value: object) -> object:
    """Return what a payload is made of: names, versions and fields, and no values."""
    if isinstance(value, dict) and "nova_object.data" in value:
        data = value["nova_object.data"]
        fields = {k: shape(v) for k, v in sorted(data.items())}
        return value["nova_object.name"], value["nova_object.version"], fields
    return None


def test_payloads_have_novas_fields_and_the_same_values_where_the_log_knows_them() -> None:
    compared: set[str] = set()
    for name, play in PLAYS.items():
        nova = {n["event_type"]: n for n in theirs(name, play)}
        for notice in ours(name):
            mine, found = _fields(notice), nova.get(notice.event_type)
            if found is None:
                continue
            compared.add(notice.event_type)
            assert notice.priority == found["priority"]
            if not notice.event_type.startswith("compute_task."):
                assert shape(notice.payload) == shape(found["payload"]), notice.event_type
            for field, value in data_of(found).items():
                if field not in UNKNOWN and not OF_THE_RUN.search(field):
                    assert mine[field] == value, (notice.event_type, field)

    told = {n["event_type"] for name in PLAYS for n in theirs(name, PLAYS[name])}
    assert told == compared


def test_what_is_unknown_has_one_value_and_stands_in_the_document() -> None:
    document = (ROOT / "docs" / "OPERATING.md").read_text()
    listed = {
        field: cells[2].strip()
        for line in document.splitlines()
        if len(cells := line.split("|")) == 4
        for field in re.findall(r"`(\w+)`", cells[1])
    }

    for name in PLAYS:
        for notice in ours(name):
            for field, value in UNKNOWN.items():
                assert _fields(notice).get(field, value) == value, (notice.event_type, field)
    assert [field for field in UNKNOWN if field not in listed] == []


def test_a_conductors_error_has_novas_fields() -> None:
    for name in ("create_no_valid_host", "live_no_host"):
        (mine,) = [n for n in ours(name) if n.event_type.startswith("compute_task.")]
        (nova,) = [
            n for n in theirs(name, PLAYS[name]) if n["event_type"].startswith("compute_task.")
        ]

        assert mine.event_type == nova["event_type"]
        assert _fields(mine).keys() == data_of(nova).keys()
        spec, their_spec = _fields(mine)["request_spec"], data_of(nova)["request_spec"]
        assert spec["nova_object.data"]["force_hosts"] is None
        assert spec["nova_object.data"].keys() == their_spec["nova_object.data"].keys()
        reason = _fields(mine)["reason"]["nova_object.data"]
        assert reason["exception"] == "NoValidHost"
        assert reason["exception_message"].startswith("No valid host was found. ")


def test_a_failed_build_tells_its_fault_in_novas_words() -> None:
    (error,) = [n for n in ours("create_spawn_abort") if n.event_type == "instance.create.error"]

    fault = _fields(error)["fault"]["nova_object.data"]

    assert fault["exception"] == "BuildAbortException"
    uuid = _fields(error)["uuid"]
    assert fault["exception_message"] == f"Build of instance {uuid} aborted: bad image"


def test_volumes_are_named_where_nova_is_told_to() -> None:
    manner = Manner(notify_on_state_change=None, bdms_in_notifications=True)
    stage = performed("attach_detach_volume")

    shown = [
        (notice.event_type, [d["nova_object.data"] for d in _fields(notice)["block_devices"]])
        for played in stage.accepted()
        for notice in notices_of(played.envelope, played.outcome, manner)
    ]

    (attached,) = [devices for event, devices in shown if event == "instance.volume_attach.end"]
    (device,) = attached
    assert set(device) == {
        "device_name",
        "boot_index",
        "delete_on_termination",
        "volume_id",
        "tag",
    }
    assert shown[-1] == ("instance.volume_detach.end", [])


# When nothing, or less, is to be told.


def test_without_notify_on_state_change_no_update_is_sent() -> None:
    manner = Manner(notify_on_state_change=None)
    stage = performed("stop_start")

    told = [
        n.event_type for p in stage.accepted() for n in notices_of(p.envelope, p.outcome, manner)
    ]

    assert told == [
        "instance.power_off.start",
        "instance.power_off.end",
        "instance.power_on.start",
        "instance.power_on.end",
    ]


def test_with_vm_state_alone_an_update_names_no_change_of_the_task() -> None:
    manner = Manner(notify_on_state_change="vm_state")
    stage = performed("stop_start")

    updates = [
        _fields(n)["state_update"]["nova_object.data"]
        for p in stage.accepted()
        for n in notices_of(p.envelope, p.outcome, manner)
        if n.event_type == "instance.update"
    ]

    told = [(u["old_state"], u["old_task_state"], u["state"], u["new_task_state"]) for u in updates]
    assert told == [
        ("active", "powering-off", "active", "powering-off"),
        ("active", "powering-off", "stopped", None),
        ("stopped", "powering-on", "stopped", "powering-on"),
        ("stopped", "powering-on", "active", None),
    ]


def test_a_repeat_has_the_same_ids_and_bytes_and_no_two_share_one() -> None:
    once, again = list(ours("resize_confirm", whole=True)), list(ours("resize_confirm", whole=True))

    assert [value_of(n) for n in once] == [value_of(n) for n in again]
    assert len({n.message_id for n in once}) == len(once)


# The table.


def test_every_word_is_of_a_saga_a_step_and_an_ending_that_are_there() -> None:
    unknown = []
    for saga, trigger in WORDS:
        if saga == "":
            known = trigger.removeprefix("request:") in IMMEDIATE
        elif trigger.startswith(">"):
            known = trigger[1:] in SAGAS[saga].steps
        elif trigger.startswith("="):
            known = trigger[1:] in SAGAS[saga].endings
        else:
            steps = SAGAS[saga].steps.values()
            known = any(trigger in step.on or trigger in step.progress for step in steps)
        if not known:
            unknown.append((saga, trigger))

    assert unknown == []


#: Refused here, with a sentence, or not carried out yet.
NOT_SAID: Final = {"share_attach", "share_detach"}


def test_every_word_is_one_of_novas_types_and_every_type_is_said() -> None:
    types = {n["event_type"] for n in _novas_types()}

    said = {say.event for words in WORDS.values() for say in words}

    assert said - types == set()
    assert {event.split(".")[1] for event in types - said} <= NOT_SAID


def _novas_types() -> list[dict[str, Any]]:
    import json

    text = (ROOT / "tests" / "data" / "nova-states.json").read_text()
    found = json.loads(text)["notifications"]
    assert isinstance(found, list)
    return found


# And back.

#: Nova tells the end of an evacuation by the service of the old host alone, as we do not.
LAST_TOLD: Final = {"evacuate_then_old_host_returns": "done"}


@pytest.mark.parametrize("name", sorted(PLAYS))
def test_a_shadow_of_our_notifications_stands_where_we_stand(name: str) -> None:
    ingest, state = Ingest(), shadow.INITIAL
    for notice in ours(name, whole=True):
        for fact in ingest.read(value_of(notice)):
            state = shadow.evolve(state, fact)

    held = performed(name).here
    assert (state.vm_state, state.task_state, state.power_state, state.host) == (
        held.vm_state,
        held.task_state,
        held.power_state,
        held.host,
    )
    followed = [(m.migration_type, m.status, m.source_compute) for m in state.migrations]
    move = held.move
    status = None if move is None else LAST_TOLD.get(name, move.status)
    assert followed == ([] if move is None else [(move.migration_type, status, move.source)])
