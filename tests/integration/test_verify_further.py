"""A verify goes on from the last one that ended well, and finds what one from the start finds."""

from __future__ import annotations

import resource
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from conductor.auditor import Audit
from conductor.replay import Replay
from conductor.speaker import Speaker
from events.codec import encode_fact
from events.decisions import RecordSetAside
from events.envelope import COMPUTE, Meta
from events.instance import GuestDestroyFailed
from events.log import Record, TopicPartition
from events.memory_log import MemoryLog, MemoryReader
from events.requests import Flavor
from events.seal import sealed_message
from events.topics import CONTROL_KEY
from projections.kept import Keeper, Kept, NotKept, Said
from projections.rows import QuarantineRow
from tests.integration.theatre import Theatre, theatre

TINY = Flavor(name="m1.tiny", vcpus=1, memory_mb=512, disk_gb=1)
UIDS = [str(uuid.UUID(int=n)) for n in range(1, 7)]
KEY = b"k" * 32


class Scene:
    """A cloud with six instances that was verified once, and one of them deleted since."""

    def __init__(self, stage: Theatre, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        self.keeper = Keeper(folder, key=KEY, code="today")
        for each in UIDS:
            stage.cloud.request("create", each, flavor=TINY, arguments={"name": "a"})
        stage.rest()
        self.first = self.verify()
        stage.cloud.request("live_migrate", UIDS[0])
        stage.cloud.request("delete", UIDS[1])
        stage.rest()

    def verify(self, keeper: Keeper | None = None) -> Audit:
        """Verify, from where the last one came."""
        return self.stage.cloud.verify(self.stage.store, keeper or self.keeper)

    def say_sql(self, statement: str) -> None:
        """Change the rows behind everybody's back."""
        with self.stage.store._engine.begin() as connection:
            assert connection.execute(text(statement)).rowcount == 1


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with theatre(tmp_path) as stage:
        yield Scene(stage, tmp_path / "audit")


def test_it_goes_on_and_comes_to_what_one_from_the_start_comes_to(scene: Scene) -> None:
    assert (scene.first.is_well, scene.first.went_on_after) == (True, 0)
    whole = scene.stage.cloud.verify(scene.stage.store)

    audit = scene.verify()

    assert (audit.is_well, audit.from_start) == (True, "")
    assert audit.went_on_after == sum(scene.first.positions.values())
    assert (audit.counts, audit.rows, audit.positions) == (
        whole.counts,
        whole.rows,
        whole.positions,
    )
    # Twice, and with nothing new.
    assert scene.verify().went_on_after == sum(audit.positions.values())
    scene.stage.cloud.request("reboot_hard", UIDS[2])
    scene.stage.rest()
    assert (scene.verify().is_well, scene.verify().from_start) == (True, "")


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        (f"UPDATE instances SET vm_state = 'error' WHERE uuid = '{UIDS[3]}'", "vm_state"),
        (f"UPDATE instances SET vm_state = 'error' WHERE uuid = '{UIDS[0]}'", "vm_state"),
        (f"DELETE FROM claims WHERE instance_uuid = '{UIDS[3]}'", "*"),
        (f"DELETE FROM claims WHERE instance_uuid = '{UIDS[0]}'", "*"),
        (
            f"UPDATE instance_actions SET user_id = 'mallory' WHERE instance_uuid = '{UIDS[4]}'",
            "user_id",
        ),
        (f"INSERT INTO tags VALUES ('{UIDS[3]}', 'x')", "*"),
        (f"INSERT INTO tags VALUES ('{UIDS[0]}', 'x')", "*"),
        (f"INSERT INTO claims VALUES ('{UIDS[1]}', 's', 'host1', 1, 1, 1, 1)", "*"),
    ],
)
def test_what_was_done_to_a_row_is_named(scene: Scene, statement: str, column: str) -> None:
    """Whether the log has said anything of the instance since, or not."""
    scene.say_sql(statement)

    audit = scene.verify()

    assert [each.column for each in audit.differences] == [column]
    assert scene.verify().difference_count == 1  # What is not well is not kept.


def test_a_row_that_is_gone_and_came_back_is_named(scene: Scene) -> None:
    (claim,) = [row for row in scene.stage.table("claims") if row[0] == UIDS[2]]
    scene.stage.cloud.request("delete", UIDS[2])
    scene.stage.rest()
    values = ", ".join(repr(value) for value in claim)
    scene.say_sql(f"INSERT INTO claims VALUES ({values})")

    audit = scene.verify()

    assert [(d.table, d.log) for d in audit.differences] == [("claims", None)]


def test_what_was_damaged_or_is_of_another_code_or_key_is_not_gone_on_from(scene: Scene) -> None:
    for other in (
        Keeper(scene.folder, key=KEY, code="tomorrow"),
        Keeper(scene.folder, key=b"x" * 32, code="today"),
    ):
        assert scene.verify(other).from_start.startswith("Expected")
        assert (scene.verify(other).is_well, scene.verify(other).from_start) == (True, "")
    file = scene.folder / "verified.sqlite"
    scene.verify()
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)

    audit = scene.verify()

    assert (audit.is_well, audit.went_on_after) == (True, 0)
    assert "was changed" in audit.from_start


def test_rows_that_went_back_are_not_gone_on_from(scene: Scene) -> None:
    """As a database that was restored from an older copy does."""
    scene.verify()
    scene.say_sql(
        "UPDATE checkpoints SET next_offset = 1 WHERE topic LIKE '%node%' AND partition = 0"
    )

    audit = scene.verify()

    assert "or later, but at 1" in audit.from_start
    assert not audit.is_equal


def test_a_record_that_was_set_aside_since_is_folded_from_the_start(scene: Scene) -> None:
    home = scene.stage.cloud.home(UIDS[3])
    fact = RecordSetAside(topic=home.topic, partition=home.partition, offset=1, reason="died")
    cloud = scene.stage.cloud
    Speaker(cloud.log.writer(), cloud.keyring, cloud.clock).say([(home, CONTROL_KEY, fact)])
    scene.stage.rest()

    audit = scene.verify()

    assert "to be set aside since" in audit.from_start


class OneByOne(MemoryReader):
    """Gives one record a poll."""

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        return super().poll(1, timeout_s)


def test_a_word_that_sets_aside_is_obeyed_however_late_it_is_read(scene: Scene) -> None:
    cloud = scene.stage.cloud
    home = cloud.home(UIDS[3])
    assert isinstance(cloud.log, MemoryLog)
    records = cloud.log.partition(home).records
    (fact,) = [r.offset for r in records if r.key == UIDS[3].encode()][:1]
    word = RecordSetAside(topic=home.topic, partition=home.partition, offset=fact, reason="died")
    Speaker(cloud.log.writer(), cloud.keyring, cloud.clock).say([(home, CONTROL_KEY, word)])
    scene.stage.rest()
    found = [
        Replay(reader=reader, keyring=cloud.keyring, topics=cloud.topics).fold_to(
            {home: cloud.log.partition(home).end}
        )
        for reader in (OneByOne(cloud.log, None), cloud.log.reader())
    ]

    assert found[0].tables == found[1].tables
    quarantined = [
        r for r in found[0].tables["quarantine"].values() if isinstance(r, QuarantineRow)
    ]
    assert [(row.offset, row.code) for row in quarantined] == [(fact, "set-aside")]


def test_a_fact_in_a_form_that_no_encoder_writes_is_named(scene: Scene) -> None:
    cloud = scene.stage.cloud
    home = cloud.home(UIDS[3])
    assert isinstance(cloud.log, MemoryLog)
    meta = Meta(
        source=COMPUTE + "host1",
        boot_epoch=1,
        sequence=900,
        instance_id=UIDS[3],
        occurred_at=cloud.clock.now_us(),
    )
    plain = encode_fact(meta, GuestDestroyFailed(reason="x"))
    odd = plain.removesuffix(b"\x02x") + b"\x82\x00x"  # A length in two bytes.
    said = [
        sealed_message(
            topic=home.topic,
            partition=home.partition,
            key=UIDS[3],
            value=value,
            prev=b"",
            by=cloud.keyring.key("host1", 1),
        )
        for value in (plain, odd)
    ]
    _, position = cloud.log.writer().append(said)

    found = Replay(
        reader=cloud.log.reader(), keyring=cloud.keyring, topics=cloud.topics, check_form=True
    ).fold_to({home: cloud.log.partition(home).end})

    assert found.odd == [(*home, position)]


def test_a_log_that_was_cut_is_read_from_where_it_begins(scene: Scene) -> None:
    home = scene.stage.cloud.home(UIDS[0])
    assert isinstance(scene.stage.cloud.log, MemoryLog)
    scene.stage.cloud.log.delete_before(home, scene.stage.cloud.log.partition(home).end)

    audit = scene.verify()

    assert "was cut behind it" in audit.from_start
    assert not audit.is_equal


def test_a_partition_that_was_not_there_is_not_gone_on_from(scene: Scene) -> None:
    partition = TopicPartition("t.node.events.v1", 0)
    scene.keeper.keep(Said([], {}, [], rows={}, gone={}, entries={}))

    assert f"{partition.topic}/" in scene.verify().from_start


class Overtaken(Keeper):
    """Something happens between what a verify folded and what it keeps."""

    def __init__(self, folder: Path, meanwhile: Callable[[], None]) -> None:
        super().__init__(folder, key=KEY, code="today")
        self._meanwhile = meanwhile

    def keep(self, said: Said, *, after: Kept | None = None) -> None:
        self._meanwhile()
        super().keep(said, after=after)


def test_two_verifies_at_once_leave_what_one_of_them_found(scene: Scene) -> None:
    def another_goes_further() -> None:
        scene.stage.cloud.request("delete", UIDS[2])
        scene.stage.cloud.request("reboot_hard", UIDS[3])
        scene.stage.rest()
        assert (scene.verify().is_well, scene.verify().from_start) == (True, "")

    slow = scene.verify(Overtaken(scene.folder, another_goes_further))
    after = scene.verify()

    assert (slow.is_well, slow.from_start) == (True, "")
    assert (after.differences, after.from_start) == ([], "")
    assert after.went_on_after == sum(slow.positions.values())
    assert after.counts == scene.stage.cloud.verify(scene.stage.store).counts


def test_a_verify_that_dies_while_it_keeps_leaves_what_was_kept_before(scene: Scene) -> None:
    class FullDisk(dict[Any, Any]):
        def items(self) -> Any:
            raise OSError(28, "No space left on device")

    def fill() -> None:
        with scene.keeper.last() as kept:
            said = Said([], {}, [], rows={"parked": FullDisk()}, gone={}, entries={})
            Keeper(scene.folder, key=KEY, code="today").keep(said, after=kept)

    with pytest.raises(NotKept, match=r"verified.sqlite what .*No space"):
        fill()

    audit = scene.verify()
    assert (audit.is_well, audit.from_start) == (True, "")
    assert audit.went_on_after == sum(scene.first.positions.values())
    assert sorted(each.name for each in scene.folder.iterdir()) == [
        "verified.lock",
        "verified.mac",
        "verified.sqlite",
    ]


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """Have the kernel refuse whatever this process writes into a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_disk_that_takes_no_more_costs_what_is_kept_and_not_the_answer(
    scene: Scene, *, is_first: bool
) -> None:
    if is_first:
        scene.keeper.forget()

    with no_file_may_grow():
        audit = scene.verify()

    assert audit.is_well
    assert str(scene.folder / "verified.sqlite") in audit.not_kept
    after = scene.verify()
    assert (after.is_well, after.not_kept) == (True, "")
    assert after.went_on_after == (0 if is_first else sum(scene.first.positions.values()))
    assert sorted(each.suffix for each in scene.folder.iterdir()) == [".lock", ".mac", ".sqlite"]


def test_a_place_that_is_no_folder_is_named_and_the_answer_is_given(scene: Scene) -> None:
    scene.folder.with_name("file").write_text("")
    elsewhere = scene.folder.with_name("file") / "audit"

    audit = scene.verify(Keeper(elsewhere, key=KEY, code="today"))

    assert audit.is_well
    assert str(elsewhere) in audit.not_kept
