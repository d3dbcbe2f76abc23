"""Keys and control records: private files, enrolments counted, rules in every partition."""

from __future__ import annotations

from pathlib import Path

import pytest

from events.control import KeyClosed, KeyOpened, RulesPublished
from events.memory_log import MemoryLog
from events.ports import SystemClock
from events.seal import MasterKeyring
from events.topics import Topics
from regente.control import Control, Standing, enrolment_of
from regente.places import open_log, topics_of
from regente.rules import PLANE_KEYS, compared, publication, publish, wanted
from regente.settings import Scheduler, Settings
from regente.setup import enroll, make_topics, open_control, revoke
from regente.state_folder import StateError, StateFolder, read_key

MASTER = bytes(range(32))
TOPICS = Topics("t")


@pytest.fixture
def control() -> Control:
    log = MemoryLog(SystemClock())
    log.admin().create(TOPICS.specs(2))
    return Control(log, TOPICS, MASTER, SystemClock())


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def settings_of(folder: StateFolder) -> Settings:
    return Settings(state_dir=folder.path)


def test_the_first_rules_are_in_force_in_every_partition_of_both_topics(control: Control) -> None:
    settings = Settings()

    facts = publish(control, settings)

    assert [type(fact) for fact in facts] == [RulesPublished, KeyOpened, KeyOpened, KeyOpened]
    in_force = control.in_force()
    assert len(in_force) == 4
    for rules in in_force.values():
        assert rules.number == 1
        assert rules.settings == settings.heart()
        assert all(rules.is_open(key) for key in PLANE_KEYS)
        assert rules.fingerprints == frozenset(wanted(settings, 1).fingerprints)


def test_nothing_is_published_where_nothing_differs(control: Control) -> None:
    publish(control, Settings())

    assert publication(Settings(), control.in_force()) == ()


def test_a_changed_setting_is_published_under_the_next_number(control: Control) -> None:
    publish(control, Settings())
    changed = Settings(scheduler=Scheduler(max_attempts=5))

    differing = [d for d in compared(changed, control.in_force().values()) if d.differs]
    (fact,) = publish(control, changed)

    assert [(d.kind, d.name, d.in_force, d.here) for d in differing] == [
        ("setting", "max_attempts", "3", "5")
    ]
    assert isinstance(fact, RulesPublished)
    assert fact.number == 2
    assert {r.settings["max_attempts"] for r in control.in_force().values()} == {"5"}


def test_the_fold_goes_on_from_what_a_checkpoint_says(control: Control) -> None:
    publish(control, Settings())
    known = {at: Standing(4, rules) for at, rules in control.in_force().items()}
    control.publish([KeyClosed(key_id="nova/1", reason="gone")])

    assert all(not rules.is_open("nova/1") for rules in control.in_force(known).values())


def test_the_master_key_is_drawn_once_and_private(folder: StateFolder) -> None:
    first = folder.make_master()

    assert folder.make_master() == first
    assert len(first) == 32
    assert folder.master_key.stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_may_read_is_refused(folder: StateFolder) -> None:
    folder.make_master()
    folder.master_key.chmod(0o640)

    with pytest.raises(StateError, match=r"its owner only, but its mode is 0640: chmod 600"):
        folder.master()


def test_topics_are_made_once_with_their_first_rules(folder: StateFolder) -> None:
    settings = settings_of(folder)

    first, second = make_topics(settings, folder), make_topics(settings, folder)

    assert len(first.topics) == 3
    assert (second.topics, second.rules_number) == ((), 1)


def test_a_host_is_enrolled_with_a_private_key_that_is_open_everywhere(
    folder: StateFolder,
) -> None:
    settings = settings_of(folder)
    make_topics(settings, folder)

    file = enroll(settings, folder, "host1")

    assert read_key(folder.key_file("host1")) == file
    assert folder.key_file("host1").stat().st_mode & 0o777 == 0o600
    assert file.key == MasterKeyring(folder.master()).key("host1", 1)
    rules = open_control(settings, folder).in_force()
    assert all(each.is_open("host1/1") for each in rules.values())
    names = [info.name for info in open_log(settings, folder).admin().topics()]
    assert topics_of(settings).commands("host1") in names


def test_a_key_file_is_never_overwritten_and_a_new_enrolment_has_a_new_number(
    folder: StateFolder,
) -> None:
    settings = settings_of(folder)
    make_topics(settings, folder)
    enroll(settings, folder, "host1")

    with pytest.raises(StateError, match=r"no key file of host1 yet, but there is"):
        enroll(settings, folder, "host1")
    folder.key_file("host1").unlink()
    again = enroll(settings, folder, "host1")

    assert (again.enrolment, again.key.key_id) == (2, "host1/2")
    assert enrolment_of("host1", open_control(settings, folder).in_force()) == 2


def test_a_revoked_host_has_no_open_key_in_any_partition(folder: StateFolder) -> None:
    settings = settings_of(folder)
    make_topics(settings, folder)
    enroll(settings, folder, "host1")

    assert revoke(settings, folder, "host1", "stolen") == ("host1/1",)
    assert revoke(settings, folder, "host1", "stolen") == ()
    rules = open_control(settings, folder).in_force()
    assert not any(each.is_open("host1/1") for each in rules.values())
