from __future__ import annotations

import pytest

from compute import dispatch
from compute.agent import digest_of
from compute.fake_site import Failure, FailureKind
from compute.hypervisor import Guest, PowerState
from compute.limits import Bounds
from compute.world import power_failure
from events import commands as c
from events import instance as i
from events.codec import decode_fact
from events.node import NodeDigested, NodeStarted, NodeStopped
from events.seal import FIRST, digest
from tests.unit.compute_host import (
    GUEST,
    OTHER,
    SMALL,
    TOPICS,
    Host,
)

BUILD = c.BuildGuest(flavor=SMALL, name="guest", image="image")


def test_facts_are_numbered_per_instance_from_one_and_chained() -> None:
    host = Host()
    host.ask(BUILD)
    host.ask(BUILD, instance_id=OTHER)
    host.settle()

    for instance_id in (GUEST, OTHER):
        records = [r for r in host.records() if r.key == instance_id.encode()]
        assert [meta.sequence for meta, _ in host.said(instance_id)] == [1, 2, 3, 4, 5]
        expected = [FIRST, *(digest(r.value or b"") for r in records[:-1])]
        assert [dict(r.headers)["prev"] for r in records] == expected


def test_a_fact_names_its_writer_and_its_reason() -> None:
    host = Host()
    letter = host.ask(BUILD, generation=3)
    host.settle()

    meta, _ = host.said()[0]

    assert meta.source == "compute/alpha"
    assert meta.boot_epoch == 1
    assert meta.generation == 3
    assert meta.command_id == letter.address.command_id
    assert meta.request_id == "req-1"


def test_a_start_is_told_with_what_there_is_to_give_and_a_stop_too() -> None:
    host = Host()
    host.settle()
    host.parts.agent.stop()
    host.settle()

    facts = [decode_fact(r.value or b"")[1] for r in host.records(TOPICS.node_events)]

    assert facts == [
        NodeStarted(
            node="alpha", hypervisor_type="fake", vcpus=64, memory_mb=262_144, disk_gb=4_096
        ),
        NodeStopped(),
    ]


def test_guests_that_are_found_at_the_start_are_told_and_not_touched() -> None:
    host = Host()
    host.has(power_state=PowerState.SHUTDOWN)

    host.settle()

    assert [fact for _, fact in host.said()] == [i.GuestFound(power_state=4)]
    assert host.cloud.world.executions() == {}


def test_a_host_at_which_too_much_waits_still_takes_what_leads_out_of_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatch, "WAITING_MAX", 2)
    slow = Failure(kind=FailureKind.DELAY, delay_polls=5)
    host = Host(
        bounds=Bounds(max_concurrent_builds=1),
        faults=lambda _host, call, _instance: slow if call == "BuildGuest.spawn" else None,
    )
    ids = [GUEST[:-1] + str(n) for n in range(4)]
    builds = [host.ask(BUILD, instance_id=each) for each in ids]
    destroy = host.ask(c.DestroyGuest(evidence="deleted"), instance_id=ids[1])
    host.settle()

    (refused,) = host.answers(builds[3])
    assert isinstance(refused, i.CommandRefused)
    assert refused.code == "busy"
    assert host.answers(destroy) == [i.GuestDestroyed()]
    assert host.answers(builds[2])[-1] == i.GuestBuilt(power_state=1)


def test_new_work_is_refused_while_the_log_takes_nothing() -> None:
    host = Host(bounds=Bounds(unsent_max=4))
    host.writer.is_away = True
    build = host.ask(BUILD)
    host.settle()
    stop = host.ask(c.StopGuest())
    destroy = host.ask(c.DestroyGuest(evidence="deleted"), generation=2)
    host.settle()
    host.writer.is_away = False
    host.settle()

    (refused,) = host.answers(stop)

    assert host.answers(build)[-1] == i.GuestBuilt(power_state=1)
    assert isinstance(refused, i.CommandRefused)
    assert refused.code == "draining"
    assert host.answers(destroy) == [i.GuestDestroyed()]


def test_facts_wait_in_the_journal_until_the_log_is_there_again() -> None:
    host = Host()
    host.writer.is_away = True
    host.ask(BUILD)
    host.settle()
    assert host.kinds() == []

    host.writer.is_away = False
    host.settle()

    assert [meta.sequence for meta, _ in host.said()] == [1, 2, 3, 4, 5]


def test_an_append_without_an_answer_is_repeated_with_the_same_bytes() -> None:
    host = Host()
    host.has()
    host.writer.loses_answer = True

    host.settle()

    first, second = host.records()
    assert (first.value, first.headers) == (second.value, second.headers)


def test_a_power_state_that_nobody_asked_for_is_told() -> None:
    host = Host()
    host.has()
    host.settle()
    power_failure(host.cloud.world, "alpha")

    host.settle()

    assert [fact for _, fact in host.said()][-1] == i.PowerStateReported(power_state=4)
    assert host.said()[-1][0].command_id is None


def test_a_digest_of_the_guests_goes_out_regularly() -> None:
    host = Host()
    host.has()
    host.settle()
    for _ in range(30):
        host.cloud.clock.sleep(20)
        host.settle()

    facts = [decode_fact(r.value or b"")[1] for r in host.records(TOPICS.node_events)]

    assert facts[1:] == [NodeDigested(guest_count=1, digest=digest_of((Guest(GUEST, 1),)))]


def test_a_digest_does_not_depend_on_the_order_of_guests() -> None:
    one, two = Guest("a", 1), Guest("b", 4)

    assert digest_of((one, two)) == digest_of((two, one))
    assert digest_of((one,)) != digest_of((two,))
