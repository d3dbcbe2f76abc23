"""A notification is read from any of its envelopes; what is none is refused with a sentence."""

from __future__ import annotations

import json

import pytest

from events.codec import decode_fact, encode_fact
from events.envelope import Meta
from events.errors import BadRecord
from events.facts_nova import NovaReported
from events.nova import ServiceUpdated, read_notification, reports
from events.nova_ingest import Ingest
from tests.unit.shadow_story import UUID, Story

BARE = {
    "message_id": "m-1",
    "publisher_id": "nova-compute:a",
    "event_type": "instance.create.error",
    "priority": "ERROR",
    "timestamp": "2026-11-22 08:00:00.000007",
    "payload": {
        "nova_object.name": "InstanceCreatePayload",
        "nova_object.version": "1.13",
        "nova_object.data": {
            "uuid": UUID,
            "state": "building",
            "task_state": None,
            "power_state": "pending",
            "host": None,
            "tenant_id": "p",
            "locked": False,
            "updated_at": "2026-11-22T08:00:00Z",
            "flavor": {"nova_object.data": {"flavorid": "1", "name": "tiny", "vcpus": 2}},
            "fault": {"nova_object.data": {"exception": "Boom", "exception_message": "x" * 5000}},
            "request_id": "req-1",
        },
    },
}
WRAPPED = {"oslo.version": "2.0", "oslo.message": json.dumps(BARE)}
NOON_US = 1_795_334_400_000_000


def said(message: object) -> NovaReported:
    found = reports(read_notification(json.dumps(message)))
    assert isinstance(found, NovaReported)
    return found


@pytest.mark.parametrize("message", [BARE, WRAPPED], ids=["1.0", "2.0"])
def test_both_envelopes_say_the_same(message: object) -> None:
    found = said(message)

    assert (found.message_id, found.timestamp_us) == ("m-1", NOON_US + 7)
    assert (found.instance_uuid, found.state, found.task_state) == (UUID, "building", None)
    assert (found.power_state, found.host, found.project_id) == (0, None, "p")
    assert found.updated_at_us == NOON_US
    assert found.flavor is not None
    assert (found.flavor.flavor_id, found.flavor.vcpus) == ("1", 2)
    assert (found.fault_exception, len(found.fault_message or "")) == ("Boom", 2000)


def test_a_fact_survives_the_log() -> None:
    meta = Meta(source="nova", instance_id=UUID, occurred_at=1)
    found = said(BARE)

    assert decode_fact(encode_fact(meta, found)) == (meta, found)


def test_the_id_is_the_senders_else_the_place_else_the_content() -> None:
    anonymous = json.dumps({k: v for k, v in BARE.items() if k != "message_id"})

    assert read_notification(json.dumps(BARE), origin="f:1").message_id == "m-1"
    assert read_notification(anonymous, origin="f:1").message_id == "f:1"
    assert read_notification(anonymous).message_id.startswith("content:")


def test_the_content_of_a_repeat_is_the_same_under_another_id_and_time() -> None:
    again = {**BARE, "message_id": "m-2", "timestamp": "2026-11-22 09:00:00.000000"}

    assert said(again).content == said(BARE).content
    assert said({**BARE, "publisher_id": "nova-compute:b"}).content != said(BARE).content


def test_an_update_names_the_change() -> None:
    (line,) = Story().saves("pausing").lines
    found = said(json.loads(line))

    assert (found.old_state, found.old_task_state) == ("active", None)
    assert (found.state, found.new_task_state) == ("active", "pausing")


@pytest.mark.parametrize(
    "event_type",
    ["compute.exception", "aggregate.create.end", "service.create", "compute.instance.update"],
)
def test_a_foreign_event_says_nothing_and_is_no_error(event_type: str) -> None:
    message = {**BARE, "event_type": event_type, "payload": {"anything": 1}}

    assert reports(read_notification(json.dumps(message))) is None


@pytest.mark.parametrize(
    "line",
    [b"\xff\xfe", b"", b"[]", b"7", b"{", b"{}", b'{"event_type": 3, "payload": {}}', b"[" * 9999],
)
def test_garbage_is_refused_with_what_was_expected(line: bytes) -> None:
    with pytest.raises(BadRecord, match=r"^Expected .*, but ") as refused:
        read_notification(line, origin="topic/0/7")

    assert refused.value.code == "not-a-notification"
    assert "topic/0/7" in refused.value.sentence


@pytest.mark.parametrize("inner", ["7", '"x"', "{", {"event_type": "x"}, 7])
def test_garbage_in_the_envelope_is_refused(inner: object) -> None:
    with pytest.raises(BadRecord, match=r"^Expected "):
        read_notification(json.dumps({"oslo.version": "2.0", "oslo.message": inner}))


def test_what_is_too_long_is_refused_unread() -> None:
    with pytest.raises(BadRecord, match="at most 262144 bytes"):
        read_notification(b" " * 300_000)


def test_an_instance_event_without_an_instance_is_refused() -> None:
    message = {**BARE, "payload": {"nova_object.data": {"uuid": None}}}

    with pytest.raises(BadRecord, match=r"Expected the uuid .* in instance\.create\.error"):
        reports(read_notification(json.dumps(message)))


def test_a_service_is_told_of_to_every_instance_that_was_on_its_host() -> None:
    story = Story().saves("migrating").saves(None, host="b").service("a", forced_down=True)
    ingest = Ingest()
    found = [fact for line in story.lines for fact in ingest.read(line)]

    assert found[-1].event_type == "service.update"
    assert found[-1].instance_uuid == UUID
    assert (found[-1].service_host, found[-1].service_forced_down) == ("a", True)


def test_a_host_that_was_down_before_an_instance_was_seen_is_told_of_first() -> None:
    story = Story().service("a", forced_down=True).service("b", forced_down=True).saves(None)
    ingest = Ingest()
    found = [fact for line in story.lines for fact in ingest.read(line)]

    assert [(f.event_type, f.service_host) for f in found] == [
        ("service.update", "a"),
        ("instance.update", None),
    ]


def test_other_services_concern_no_instance() -> None:
    line = Story().service("a", forced_down=True).lines[0].replace('"nova-compute"', '"nova-x"')
    found = reports(read_notification(line))
    ingest = Ingest()
    ingest.read(Story().saves(None).lines[0])

    assert isinstance(found, ServiceUpdated)
    assert ingest.read(line) == ()


def test_the_scheduler_speaks_of_no_instance_before_there_is_one() -> None:
    ingest = Ingest()
    line, _ = Story().schedules().lines

    assert ingest.read(line) == ()
    assert len(ingest.read(Story().saves(None).lines[0])) == 1
    assert len(ingest.read(line)) == 1
