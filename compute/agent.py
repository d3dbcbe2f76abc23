"""The agent of a host: commands in, facts out, one bounded turn at a time.

It reports what it finds and touches nothing; hears the command topic to its end; and only then
acts. The journal remembers, the dispatch decides, the driver does, the emitter sends: this file
only says in which order. What is lost (log, topic, process) leads back to the beginning.
"""

from __future__ import annotations

from hashlib import sha256

from compute.dispatch import Dispatch
from compute.hypervisor import Capacity, Guest, Hypervisor
from compute.journal import Journal
from compute.limits import (
    COMMANDS_PER_TURN,
    CUT_OFF_S,
    FORGET_EVERY_S,
    HARD_BOUND_FACTOR,
    KEEP_SENT_DAYS,
    SCAN_PER_TURN,
)
from compute.mailbox import Dropped, Mailbox
from compute.node import Node
from compute.scribe import Scribe
from events.errors import LogRecreated, LogUnavailable, PositionLost
from events.instance import GuestFound
from events.log import LogReader
from events.node import NodeCapacityReported, NodeDigested, NodeStarted, NodeStopped
from events.ports import Clock

_DAY_US = 24 * 3_600 * 1_000_000


class Agent:
    """Carries out the commands of one host."""

    def __init__(
        self, *, node: Node, journal: Journal, reader: LogReader, driver: Hypervisor, clock: Clock
    ) -> None:
        self._node = node
        self._journal = journal
        self._driver = driver
        self._clock = clock
        self._scribe = Scribe(
            host=node.host,
            topics=node.topics,
            partitions=node.partitions,
            journal=journal,
            clock=clock,
        )
        self._dispatch = Dispatch(
            host=node.host,
            journal=journal,
            scribe=self._scribe,
            driver=driver,
            bounds=node.bounds,
        )
        self._mailbox = Mailbox(
            host=node.host, key=node.key, topics=node.topics, reader=reader, poll_s=node.poll_s
        )
        self._capacity: Capacity | None = None
        self._is_stopped = False
        self._is_open = False
        self._is_caught_up = False
        self._is_recovered = False
        self._read_at_s = self._digested_at_s = self._forgot_at_s = clock.monotonic_s()

    @property
    def is_caught_up(self) -> bool:
        """Say whether commands are carried out: the topic was heard to its end."""
        return self._is_caught_up

    @property
    def dropped(self) -> Dropped:
        """Count the records of the command topic that were no commands of ours."""
        return self._mailbox.dropped

    @property
    def stray_report_count(self) -> int:
        """Count the driver's reports about operations that nobody knows."""
        return self._dispatch.stray_count

    def turn(self) -> bool:
        """Leave a bounded piece of work done; False where there was none."""
        if self._is_stopped:
            return False
        if self._capacity is None:
            self._report_start()
            return True
        did = self._hear()
        try:
            did |= self._read() if self._is_caught_up else self._catch_up()
        except (LogUnavailable, PositionLost, LogRecreated):
            self._is_caught_up = self._is_open = False
        if self._is_caught_up:
            did |= self._dispatch.work()
        return self._look_after() or did

    def stop(self) -> None:
        """Leave the word in the journal that this host stops on purpose; no turn does anything."""
        if self._capacity is not None and not self._is_stopped:
            with self._journal.transaction():
                self._scribe.say_of_host(NodeStopped())
        self._is_stopped = True

    def _report_start(self) -> None:
        """Raise the boot epoch and say what is found; nothing of it is touched."""
        self._capacity = self._driver.capacity()
        with self._journal.transaction():
            self._journal.raise_boot_epoch(self._node.enrolment)
            self._scribe.say_of_host(NodeStarted(**self._capacity._asdict()))
            for guest in self._driver.guests():
                found = GuestFound(power_state=guest.power_state)
                self._scribe.say_of_instance(guest.instance_id, found)

    def _hear(self) -> bool:
        reports = self._driver.poll() if self._is_recovered else []
        self._dispatch.hear(reports)
        return bool(reports)

    def _catch_up(self) -> bool:
        if not self._is_open:
            is_kept = self._mailbox.open(self._journal)
            self._is_open = True
            if not is_kept:
                self._report_start()
        before = self._mailbox.scanned_to
        if not self._mailbox.catch_up(self._journal, SCAN_PER_TURN):
            return self._mailbox.scanned_to != before
        if not self._is_recovered:
            self._dispatch.recover()
        self._is_recovered = self._is_caught_up = True
        self._read_at_s = self._clock.monotonic_s()
        return True

    def _read(self) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s - self._read_at_s > CUT_OFF_S:
            self._is_caught_up = self._is_open = False
            return True
        if not self._has_room():
            return False
        deliveries = self._mailbox.read(COMMANDS_PER_TURN)
        self._read_at_s = now_s
        for delivery in deliveries:
            self._dispatch.take(delivery)
        return bool(deliveries)

    def _has_room(self) -> bool:
        unsent_max = self._node.bounds.unsent_max * HARD_BOUND_FACTOR
        return self._journal.unsent_count() < unsent_max

    def _look_after(self) -> bool:
        now_s = self._clock.monotonic_s()
        did = False
        if now_s - self._digested_at_s >= self._node.bounds.digest_interval_s:
            self._digested_at_s = now_s
            did = self._digest()
        if now_s - self._forgot_at_s >= FORGET_EVERY_S:
            self._forgot_at_s = now_s
            with self._journal.transaction():
                self._journal.forget_before(self._clock.now_us() - KEEP_SENT_DAYS * _DAY_US)
        return did

    def _digest(self) -> bool:
        """Say how the guests stand, and what there is to give where that has changed."""
        if self._journal.unsent_count() >= self._node.bounds.unsent_max:
            return False
        guests, capacity = self._driver.guests(), self._driver.capacity()
        with self._journal.transaction():
            if capacity != self._capacity:
                self._capacity = capacity
                room = NodeCapacityReported(
                    vcpus=capacity.vcpus, memory_mb=capacity.memory_mb, disk_gb=capacity.disk_gb
                )
                self._scribe.say_of_host(room)
            digested = NodeDigested(guest_count=len(guests), digest=digest_of(guests))
            self._scribe.say_of_host(digested)
        return True


def digest_of(guests: tuple[Guest, ...]) -> bytes:
    """Return the SHA-256 over the sorted lines `uuid power_state`."""
    lines = sorted(f"{guest.instance_id} {int(guest.power_state)}\n" for guest in guests)
    return sha256("".join(lines).encode()).digest()
