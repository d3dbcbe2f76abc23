"""The emitter, the heartbeat, the loop and the wiring around an agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.errors import JournalInUse, WrongEnrolment
from compute.limits import EMIT_BYTES, EMIT_PER_TURN, REASON_CHARS_MAX, Bounds
from compute.node import Node
from compute.run import run
from compute.scribe import Scribe
from compute.wiring import open_journal, partitions_of
from events.codec import decode_fact
from events.instance import BuildAborted, PowerStateReported
from events.node import HeartbeatSent
from tests.unit.compute_host import BUILD, GUEST, KEYRING, TOPICS, Host


def heartbeats(host: Host) -> list[object]:
    return [decode_fact(r.value or b"")[1] for r in host.records(TOPICS.heartbeats)]


def scribe(host: Host) -> Scribe:
    return Scribe(
        host=host.name,
        topics=TOPICS,
        partitions=host.node.partitions,
        journal=host.journal,
        clock=host.cloud.clock,
    )


def test_a_heartbeat_goes_out_at_once_and_then_at_each_interval() -> None:
    host = Host(bounds=Bounds(report_interval_s=10))
    host.settle()
    assert heartbeats(host) == [HeartbeatSent(report_interval_s=10)]

    host.cloud.clock.sleep(9)
    host.settle()
    assert len(heartbeats(host)) == 1

    host.cloud.clock.sleep(1)
    host.settle()
    assert len(heartbeats(host)) == 2


def test_a_heartbeat_is_sealed_and_has_no_number() -> None:
    host = Host()
    host.settle()

    (record,) = host.records(TOPICS.heartbeats)
    meta, _ = decode_fact(record.value or b"")

    assert (meta.sequence, meta.boot_epoch, meta.instance_id) == (0, 1, "alpha")
    assert dict(record.headers)["prev"] == b""


def test_no_heart_beats_before_the_agent_has_started() -> None:
    host = Host()

    assert not host.parts.heartbeat.turn()


def test_a_heartbeat_that_could_not_be_sent_is_not_kept() -> None:
    host = Host()
    host.writer.is_away = True
    host.settle()
    host.cloud.clock.sleep(100)
    host.settle()
    host.writer.is_away = False
    host.cloud.clock.sleep(1)
    host.settle()

    assert len(heartbeats(host)) == 1


def test_a_batch_is_bounded_in_number() -> None:
    host = Host()
    host.settle()
    with host.journal.transaction():
        for _ in range(EMIT_PER_TURN + 1):
            scribe(host).say_of_instance(GUEST, PowerStateReported(power_state=1))

    host.parts.emitter.turn()
    assert host.journal.unsent_count() == 1

    host.parts.emitter.turn()
    assert host.parts.emitter.is_empty


def test_a_batch_is_bounded_in_bytes() -> None:
    host = Host()
    host.settle()
    with host.journal.transaction():
        for _ in range(EMIT_PER_TURN):
            scribe(host).say_of_instance(GUEST, BuildAborted(reason="x" * REASON_CHARS_MAX))

    host.parts.emitter.turn()

    sent = [r.value or b"" for r in host.records()]
    assert 0 < len(sent) < EMIT_PER_TURN
    assert EMIT_BYTES - 2 * len(sent[0]) < sum(map(len, sent)) <= EMIT_BYTES


def test_a_reason_is_cut_to_what_a_record_bears() -> None:
    host = Host()
    host.settle()
    with host.journal.transaction():
        scribe(host).say_of_instance(GUEST, BuildAborted(reason="x" * 300_000))
    host.settle()

    ((_, fact),) = host.said()

    assert fact == BuildAborted(reason="x" * 999 + "…")


def test_the_emitter_counts_what_the_log_did_not_acknowledge() -> None:
    host = Host()
    host.writer.is_away = True
    host.parts.agent.turn()

    assert not host.parts.emitter.turn()
    assert not host.parts.emitter.turn()
    assert host.parts.emitter.failure_count == 2

    host.writer.is_away = False
    assert host.parts.emitter.turn()
    assert host.parts.emitter.failure_count == 0


def test_the_loop_serves_until_it_is_stopped_and_says_goodbye() -> None:
    host = Host()
    host.ask(BUILD)
    clock = host.cloud.clock
    end_s = clock.monotonic_s() + 20

    run(host.parts, clock, lambda: clock.monotonic_s() > end_s)

    kinds = [
        type(decode_fact(r.value or b"")[1]).__name__ for r in host.records(TOPICS.node_events)
    ]
    assert host.kinds()[-1] == "GuestBuilt"
    assert kinds == ["NodeStarted", "NodeStopped"]
    assert not host.parts.agent.turn()


def test_a_stop_does_not_wait_for_ever_for_a_log_that_is_away() -> None:
    host = Host()
    host.parts.agent.turn()
    host.writer.is_away = True

    run(host.parts, host.cloud.clock, lambda: True)

    assert host.journal.unsent_count() == 2


def test_a_journal_has_a_folder_of_its_own_and_one_owner(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, "alpha")

    assert (tmp_path / "alpha" / "journal.db").exists()
    with pytest.raises(JournalInUse):
        open_journal(tmp_path, "alpha")
    open_journal(tmp_path, "beta").close()
    journal.close()


def test_an_agent_on_disk_goes_on_with_its_chain_after_a_restart(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, "alpha")
    host = Host(journal=journal)
    host.ask(BUILD)
    host.settle()
    journal.close()
    host.journal = open_journal(tmp_path, "alpha")
    host.start()
    host.settle()
    host.journal.close()

    meta, _ = host.said()[-1]
    assert (meta.sequence, meta.boot_epoch) == (6, 2)


def test_a_key_of_another_enrolment_does_not_go_with_the_journal() -> None:
    host = Host()
    host.settle()
    said = len(host.said())
    host.node = Node(host="alpha", key=KEYRING.key("alpha", 2), partitions=4)

    with pytest.raises(WrongEnrolment, match="enrolment 2, but it is of 1"):
        host.start()
    assert len(host.said()) == said


def test_a_key_of_another_host_is_refused() -> None:
    with pytest.raises(ValueError, match="key of alpha, but it is beta/1"):
        Node(host="alpha", key=KEYRING.key("beta", 1), partitions=4)


def test_the_number_of_partitions_comes_from_the_log() -> None:
    host = Host()

    assert partitions_of(host.cloud.log.reader(), TOPICS.instance_events) == 4
