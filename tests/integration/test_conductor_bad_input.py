"""What is no fact of ours does not stop a partition: it waits with its reason and position."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from conductor.rulebook import Rulebook, of_this_installation
from conductor.speaker import Speaker
from events.codec import encode_fact, registry
from events.control import KeyOpened
from events.envelope import Meta
from events.instance import GuestAbsent, GuestFound
from events.log import Message
from events.requests import ActionRequested, RecordDiscarded, SagaResolved
from events.seal import FIRST, sealed_message
from events.topics import CONTROL_KEY
from events.values import replace
from statemachines.rules import SETTINGS
from tests.e2e.cloud import Cloud, states
from tests.e2e.house import ACTIVE, STOPPED, House
from tests.requeueing import said_too_early, word_for


def _request(house: House, **meta: object) -> bytes:
    fact = ActionRequested(action="stop", user_id="u", project_id="p")
    given = {"source": "api", "instance_id": house.one, "request_id": f"req-{uuid.uuid4()}"}
    return encode_fact(Meta(**{**given, "occurred_at": 1, **meta}), fact)  # type: ignore[arg-type]  # fields of Meta


def _sealed(house: House, value: bytes, by: str = "api") -> Message:
    return house.cloud.sealed(house.one, value, by)


def _elsewhere(house: House) -> Message:
    topic, partition = house.cloud.home(house.one)
    return sealed_message(
        topic=topic,
        partition=(partition + 1) % house.cloud.partitions,
        key=house.one,
        value=_request(house),
        prev=b"",
        by=house.cloud.keyring.key("api", 1),
    )


def _about_partition(house: House, fact: object) -> Message:
    """Return an operator's word about the partition of the house's first instance."""
    topic, partition = house.cloud.home(house.one)
    request_id = f"req-{uuid.uuid4()}"
    meta = Meta(source="api", instance_id="", request_id=request_id, occurred_at=1)
    return sealed_message(
        topic=topic,
        partition=partition,
        key=CONTROL_KEY,
        value=encode_fact(meta, fact),
        prev=b"",
        by=house.cloud.keyring.key("api", 1),
    )


def _of_nobody(house: House) -> Message:
    unknown = b"\xc3\x01" + bytes(8)
    return house.cloud.sealed(str(uuid.uuid4()), unknown, "api")


BAD: dict[str, Callable[[House], Message]] = {
    "undecodable": lambda h: _sealed(h, _request(h)[:-3]),
    "trailing": lambda h: _sealed(h, _request(h) + b"!"),
    "oversized": lambda h: _sealed(h, bytes(300_000)),
    "bad-mac": lambda h: _sealed(h, _request(h))._replace(value=_request(h)),
    "closed-key": lambda h: _sealed(h, _request(h), by="stranger"),
    "wrong-source": lambda h: _sealed(h, _request(h), by="host1"),
    "wrong-key": lambda h: _sealed(h, _request(h, instance_id="another")),
    "wrong-partition": _elsewhere,
    "not-admitted": _of_nobody,
    "tombstone": lambda h: _sealed(h, _request(h))._replace(value=None),
    "no-key": lambda h: _sealed(h, _request(h))._replace(key=None),
    "no-mac": lambda h: _sealed(h, _request(h))._replace(headers=()),
    "not-control": lambda h: h.cloud.sealed(CONTROL_KEY, _request(h), "host1"),
}
#: Where the stable code differs from the name of the case.
CODES = {"trailing": "trailing-bytes"}


@pytest.mark.servers
def test_bad_records_are_quarantined_with_reason_and_position_and_the_partition_goes_on(
    cloud: Cloud,
) -> None:
    house = House(cloud)
    messages = {name: make(house) for name, make in BAD.items()}

    offsets = cloud.append(*messages.values())
    cloud.request("stop", house.one)
    house.until(house.one, STOPPED)

    found = house.quarantine()
    where = zip(messages.items(), offsets, strict=True)
    said = {name: found.get((message.partition, offset)) for (name, message), offset in where}
    assert {name: row and row.code for name, row in said.items()} == {
        name: CODES.get(name, name) for name in BAD
    }
    assert all(row and row.reason.startswith("Expected") for row in said.values())
    assert house.parked() == []
    house.end()


def test_a_host_that_says_two_things_under_one_number_is_found_out(embedded: Cloud) -> None:
    house = House(embedded)

    def word(fact: object) -> Message:
        meta = Meta(
            source="compute/host3",
            boot_epoch=1,
            sequence=1,
            instance_id=house.one,
            occurred_at=embedded.clock.now_us(),
        )
        topic, partition = embedded.home(house.one)
        return sealed_message(
            topic=topic,
            partition=partition,
            key=house.one,
            value=encode_fact(meta, fact),
            prev=FIRST,
            by=embedded.keyring.key("host3", 1),
        )

    first = word(GuestAbsent())
    embedded.append(first, first, word(GuestFound(power_state=1)))
    house.settle()

    assert [row.code for row in house.rejections()] == ["equivocation"]
    assert house.conductor.worker.counts["duplicate"] >= 1
    cloud = house.cloud
    cloud.request("stop", house.one)
    house.until(house.one, STOPPED)
    house.end()


def test_what_the_rules_do_not_admit_yet_waits_in_order_and_others_go_on(embedded: Cloud) -> None:
    house = House(embedded)
    reader, writer = embedded.log.reader(), embedded.log.writer()
    speaker = Speaker(writer, embedded.keyring, embedded.clock)
    book = Rulebook(speaker=speaker, reader=reader, topics=embedded.topics)
    rules = of_this_installation(2, SETTINGS)
    known = registry().newest["SagaResolved"].fingerprint.hex()
    book.say(replace(rules, fingerprints=tuple(f for f in rules.fingerprints if f != known)))

    word = SagaResolved(saga_id="none", user_id="u", reason="because")
    embedded.append(embedded.word_of_api(house.one, word)[1])
    embedded.request("stop", house.one)
    embedded.request("stop", house.other)
    house.until(house.other, STOPPED)
    house.settle()

    assert states(house.store, [house.one]) == [ACTIVE]
    assert [row.reason for row in house.parked()] == ["schema", "schema"]
    audit = embedded.verify(house.store)
    assert audit.is_equal, audit.differences

    book.say(replace(rules, number=3))
    house.until(house.one, STOPPED)
    assert house.parked() == []
    for each in (reader, writer):
        each.close()
    house.end()


def test_an_operator_discards_what_nobody_can_read(embedded: Cloud) -> None:
    house = House(embedded)
    topic, partition = embedded.home(house.one)
    (offset,) = embedded.append(Message(topic, partition, None, b"junk"))
    house.settle()
    assert set(house.quarantine()) == {(partition, offset)}

    fact = RecordDiscarded(
        partition=partition,
        offset=offset,
        source="",
        digest=b"",
        user_id="operator",
        reason="junk",
    )
    embedded.append(_about_partition(house, fact))
    house.settle()

    assert house.quarantine() == {}
    house.end()


def _requeued(house: House, message: Message, offset: int) -> Message:
    return _about_partition(house, word_for(message, offset))


def test_what_was_said_under_a_key_that_opens_later_is_judged_when_it_is_requeued(
    embedded: Cloud,
) -> None:
    house = House(embedded)
    house.settle()
    said = said_too_early(embedded.home(house.one), house.one, embedded.keyring)
    (offset,) = embedded.append(said)
    house.settle()
    place = (said.partition, offset)
    assert house.quarantine()[place].code == "closed-key"

    embedded.append(_requeued(house, said, offset))
    house.settle()
    assert house.quarantine()[place].code == "closed-key"

    reader, writer = embedded.log.reader(), embedded.log.writer()
    speaker = Speaker(writer, embedded.keyring, embedded.clock)
    Rulebook(speaker=speaker, reader=reader, topics=embedded.topics).say(KeyOpened(key_id="late/1"))
    embedded.append(_requeued(house, said, offset))
    embedded.append(_requeued(house, said, offset))  # and once more: that is a repeat
    house.settle()

    assert house.quarantine() == {}
    audit = embedded.verify(house.store)
    assert audit.is_equal, audit.differences
    assert audit.counts["duplicate"] == 1
    for each in (reader, writer):
        each.close()
    house.end()


def test_a_word_that_brings_a_forged_record_back_forges_nothing(embedded: Cloud) -> None:
    house = House(embedded)
    house.settle()
    forged = _sealed(house, _request(house))._replace(value=_request(house))
    (offset,) = embedded.append(forged)
    control = _about_partition(house, KeyOpened(key_id="mine/1"))

    embedded.append(_requeued(house, forged, offset))
    (second,) = embedded.append(_requeued(house, control, 0))
    house.settle()

    assert house.quarantine()[forged.partition, offset].code == "bad-mac"
    assert house.quarantine()[forged.partition, 0].code == "not-requeued"
    assert states(house.store, [house.one]) == [ACTIVE]
    assert second > offset
    house.end()
