"""What falls due by itself in a whole cloud, with a clock that only the test moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from conductor.rulebook import Rulebook, of_this_installation
from conductor.speaker import Speaker
from events.codec import decode_fact
from events.decisions import PeriodElapsed
from events.log import TopicPartition
from events.requests import ActionRequested, Flavor
from events.topics import partition_of
from projections.rows import ActionRow, InstanceRow
from tests.simulation.cloud import SETTINGS, Cloud
from tests.simulation.invariants import at_rest
from tests.simulation.planted import QUIET
from tests.simulation.processes import DOWN_S, S

WINDOW_S: Final = 900
PLAN: Final = replace(QUIET, conductors=1, confirm_window_s=WINDOW_S)
SMALL: Final = Flavor(name="m1.small", vcpus=1, memory_mb=2_048, disk_gb=20)
LARGE: Final = Flavor(name="m1.large", vcpus=2, memory_mb=4_096, disk_gb=40)


class Small:
    """A cloud in which nothing goes wrong, and one instance of it."""

    def __init__(self, confirm_window_s: int = WINDOW_S) -> None:
        self.cloud = Cloud(7, plan=replace(PLAN, confirm_window_s=confirm_window_s))
        self.cloud.dice.is_healing = True
        self.cloud.settle()
        self.uuid = self.cloud.workload.uuids[0]
        self.asked = 0

    def ask(self, action: str, flavor: Flavor | None = None) -> None:
        """Have the API ask for something."""
        self.asked += 1
        fact = ActionRequested(action=action, user_id="u", project_id="p", flavor=flavor)
        self.cloud.workload.say(self.uuid, fact)

    def go_on(self, seconds: int) -> None:
        """Let everybody take turns for some time."""
        until = self.cloud.now_us + seconds * S
        while self.cloud.now_us < until:
            did = self.cloud.round()
            self.cloud.now_us += S // 5 if did else 2 * S

    def resize(self) -> None:
        """Leave the instance waiting for its confirm."""
        self.ask("create", SMALL)
        self.cloud.settle()
        self.ask("resize", LARGE)
        self.go_on(30)
        assert self.row.vm_state == "resized"

    def kill_conductor(self, seconds: int) -> None:
        """Leave nobody who owns a partition for a while, then let somebody take over."""
        self.cloud.conductors[0].kill(seconds * S)

    @property
    def row(self) -> InstanceRow:
        """What is true now of the instance."""
        row = self.cloud.database.rows["instances"][self.uuid,]
        assert isinstance(row, InstanceRow)
        return row

    @property
    def actions(self) -> list[str]:
        """Every action of the instance, in order."""
        rows = self.cloud.database.rows["instance_actions"].values()
        found = [r for r in rows if isinstance(r, ActionRow)]
        return [r.action for r in sorted(found, key=lambda r: r.start_time)]

    @property
    def told(self) -> list[PeriodElapsed]:
        """Every fact that says that a time has come."""
        number = partition_of(self.uuid, PLAN.partitions)
        tp = TopicPartition(self.cloud.topics.instance_events, number)
        facts = [decode_fact(r.value or b"")[1] for r in self.cloud.log.partition(tp).records]
        return [fact for fact in facts if isinstance(fact, PeriodElapsed)]

    def rests(self) -> None:
        """See that nothing is left to do, and that every law holds."""
        self.cloud.settle()
        assert at_rest(self.cloud) == []


def test_a_resize_is_confirmed_when_its_window_has_passed_and_not_before() -> None:
    small = Small()
    small.resize()

    small.go_on(WINDOW_S - 60)
    assert (small.row.vm_state, small.told) == ("resized", [])
    small.go_on(70)

    assert small.row.vm_state == "active"
    assert small.actions == ["create", "resize", "confirmResize"]
    assert len(small.told) == 1
    small.rests()


def test_a_revert_in_time_leaves_nothing_due() -> None:
    small = Small()
    small.resize()
    small.ask("revert_resize")

    small.go_on(2 * WINDOW_S)

    assert (small.row.vm_state, small.told) == ("active", [])
    assert small.cloud.database.dues == {}
    small.rests()


def test_a_window_that_passed_while_nobody_was_there_is_no_hurry() -> None:
    """The user asked for a revert meanwhile: it was first, and the take-over leaves it time."""
    small = Small()
    small.resize()
    small.kill_conductor(4 * WINDOW_S)
    small.cloud.now_us += 3 * WINDOW_S * S
    small.ask("revert_resize")

    small.go_on(2 * WINDOW_S)

    assert small.told == []
    assert small.actions == ["create", "resize", "revertResize"]
    small.rests()


def test_what_fell_due_in_an_outage_waits_until_the_take_over_is_over() -> None:
    small = Small()
    small.resize()
    small.kill_conductor(2 * WINDOW_S)
    small.cloud.now_us += 2 * WINDOW_S * S

    small.go_on(DOWN_S - 1)
    assert (small.row.vm_state, small.told) == ("resized", [])
    small.go_on(15)

    assert len(small.told) == 1
    small.rests()
    assert small.row.vm_state == "active"


def test_a_database_made_anew_has_everything_before_it_again() -> None:
    small = Small()
    small.resize()
    before = dict(small.cloud.database.dues)
    small.kill_conductor(1)
    small.cloud.database.dues.clear()

    small.go_on(40)

    assert small.cloud.database.dues == before
    small.go_on(WINDOW_S)
    assert small.row.vm_state == "active"
    small.rests()


@pytest.mark.parametrize("is_due", [True, False])
def test_a_rule_that_changes_counts_for_those_who_wait_already(is_due: bool) -> None:
    small = Small(confirm_window_s=0 if is_due else WINDOW_S)
    small.resize()
    assert bool(small.cloud.database.dues) != is_due
    window = str(WINDOW_S) if is_due else "0"
    publish(small.cloud, SETTINGS | {"resize_confirm_window": window})

    small.go_on(30)

    assert bool(small.cloud.database.dues) == is_due
    small.go_on(WINDOW_S + 60)
    assert small.row.vm_state == ("active" if is_due else "resized")
    small.rests()


def publish(cloud: Cloud, settings: dict[str, str]) -> None:
    """Have an operator publish other rules."""
    speaker = Speaker(cloud.tap, cloud.keyring, cloud.clock)
    book = Rulebook(speaker=speaker, reader=cloud.log.reader(), topics=cloud.topics)
    book.say(of_this_installation(2, settings))
