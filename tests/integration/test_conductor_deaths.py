"""A record at which the worker dies stops one instance, and not its partition.

The worker is a real process that really dies; who lives is counted from outside.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from events.log import Message
from events.requests import RecordDiscarded, RecordReleased
from events.seal import sealed_message
from tests.e2e.cloud import Cloud, rows, spin, states
from tests.e2e.deadly import DIED, KILLER
from tests.e2e.house import ACTIVE, STOPPED, House

ROOT = Path(__file__).parent.parent.parent
RUNS_MAX = 6
STOP_S = 15.0


def _start(cloud: Cloud, folder: Path) -> subprocess.Popen[bytes]:
    words = (str(folder / "log.sqlite"), cloud.url, cloud.topics.prefix)
    return subprocess.Popen([sys.executable, "-m", "tests.e2e.deadly", *words], cwd=ROOT)


def _deaths(house: House, folder: Path, uid: str) -> tuple[int, subprocess.Popen[bytes]]:
    """Start workers until one outlives its predecessors and stops `uid`; count those that died."""
    deadline = time.monotonic() + 60
    process, died = _start(house.cloud, folder), 0
    agents = house.everybody[1:]
    while states(house.store, [uid]) != [STOPPED]:
        assert time.monotonic() < deadline, "Expected a worker to get past the deadly record"
        if process.poll() is not None:
            assert process.returncode == DIED, process.returncode
            died += 1
            assert died < RUNS_MAX, f"Expected the record to be set aside, but {died} died of it"
            process = _start(house.cloud, folder)
        did = [each.turn() for each in agents]  # a list: each gets its turn
        if not any(did):
            time.sleep(0.01)
    return died, process


@pytest.mark.parametrize(
    ("before", "deaths"),
    [
        pytest.param(0, 2, id="the first of its batch"),
        pytest.param(2, 3, id="in the middle of its batch"),
    ],
)
def test_a_record_at_which_the_worker_died_twice_waits_with_its_instance_alone(
    embedded: Cloud, tmp_path: Path, before: int, deaths: int
) -> None:
    house = House(embedded)
    house.settle()
    house.conductor.stop()
    for _ in range(before):
        embedded.request("unlock", house.one)
    deadly = embedded.sealed(house.one, b"\xc3\x01 whatever it is", KILLER)
    (offset,) = embedded.append(deadly)
    partition = embedded.home(house.one)
    embedded.request("stop", house.one)
    embedded.request("stop", house.other)

    died, process = _deaths(house, tmp_path, house.other)

    assert died == deaths
    try:
        agents = house.everybody[1:]
        spin(agents, lambda: embedded.lag(house.store) == 0, what="no lag")
        assert states(house.store, [house.one]) == [ACTIVE]
        waiting = [(row.offset, row.reason) for row in house.parked()]
        assert waiting == [(offset, "set-aside"), (offset + 1, "schema")]
        assert house.parked()[0].source == f"compute/{KILLER}"
        assert house.quarantine() == {}
        assert house.store.set_aside(partition) == {offset}
        audit = embedded.verify(house.store)
        assert audit.is_equal, audit.differences

        word = RecordDiscarded(
            partition=partition.partition,
            offset=offset,
            source="",
            digest=b"",
            user_id="operator",
            reason="it kills",
        )
        embedded.append(embedded.word_of_api(house.one, word)[1])

        spin(agents, lambda: states(house.store, [house.one]) == [STOPPED], what="its stop")
        spin(agents, lambda: embedded.lag(house.store) == 0, what="no lag")
    finally:
        process.terminate()
        status = process.wait(STOP_S)
    assert status == 0
    assert rows(house.store, "parked") == []
    audit = embedded.verify(house.store)
    assert audit.is_equal, audit.differences


def test_what_was_set_aside_is_judged_by_a_mended_worker_when_it_is_released(
    embedded: Cloud, tmp_path: Path
) -> None:
    house = House(embedded)
    house.settle()
    house.conductor.stop()
    partition = embedded.home(house.one)
    (offset,) = embedded.append(embedded.sealed(house.one, b"\xc3\x01 whatever", KILLER))
    (elsewhere,) = embedded.append(_in_another_partition(embedded, house.one))
    embedded.request("stop", house.one)
    embedded.request("stop", house.other)
    _, process = _deaths(house, tmp_path, house.other)
    process.terminate()
    process.wait(STOP_S)
    mended = embedded.conductor()
    everybody = [mended, *house.everybody[1:]]
    spin(everybody, lambda: embedded.lag(house.store) == 0, what="no lag")
    assert [row.reason for row in house.parked()] == ["set-aside", "schema"]

    word = RecordReleased(
        partition=partition.partition, offset=offset, user_id="operator", reason="mended"
    )
    embedded.append(embedded.word_of_api(house.one, word)[1])

    spin(everybody, lambda: states(house.store, [house.one]) == [STOPPED], what="its stop")
    spin(everybody, lambda: embedded.lag(house.store) == 0, what="no lag")
    assert rows(house.store, "parked") == []
    # It was never believed: its key is not open. The other was quarantined where it stood.
    codes = {row.offset: row.code for row in house.quarantine().values()}
    assert codes[offset] == "closed-key"
    assert set(codes) == {offset, elsewhere}
    audit = embedded.verify(house.store)
    assert audit.is_equal, audit.differences
    mended.stop()


def _in_another_partition(cloud: Cloud, uid: str) -> Message:
    """Return a deadly record about an instance where no record about it may stand."""
    home = cloud.home(uid)
    return sealed_message(
        topic=home.topic,
        partition=(home.partition + 1) % cloud.partitions,
        key=uid,
        value=b"\xc3\x01 whatever",
        prev=b"",
        by=cloud.keyring.key(KILLER, 1),
    )
