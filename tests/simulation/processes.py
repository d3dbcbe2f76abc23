"""A conductor and a host as processes: they start, take turns, die at any call, and start again.

What outlives them is kept here: a host's journal as its disk would have it, the world, the log and
the database. Everything else goes with the process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from compute import wiring as compute_wiring
from compute.errors import ComputeError
from compute.fake_driver import FakeDriver, FakeOptions
from compute.fake_site import Failure
from compute.hypervisor import Hypervisor
from compute.journal import Journal
from compute.limits import Bounds
from compute.memory_journal import MemoryJournal
from compute.node import Node
from compute.world import power_failure
from conductor import wiring as conductor_wiring
from events.errors import EventsError, LogUnavailable
from events.log import LogGroup, LogReader
from events.memory_log import MemoryReader
from projections.store import Store, StoreError
from tests.simulation.faults import Died
from tests.simulation.ports import Gate, GatedDriver, GatedJournal, GatedStore, Reader, Writer

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud

S: Final = 1_000_000
GROUP: Final = "conductors"
DOWN_S: Final = 20
REPORT_S: Final = 5


@dataclass(slots=True)
class SkewedClock:
    """The clock of one machine: as the others', but for its hands."""

    cloud: Cloud
    skew_us: int

    def now_us(self) -> int:
        return self.cloud.now_us + self.skew_us

    def monotonic_s(self) -> float:
        return self.cloud.now_us / S

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"Expected turns that never wait, but one sleeps {seconds} s")


class Process:
    """What starts, takes turns and dies."""

    def __init__(self, name: str, cloud: Cloud, kind: str) -> None:
        self.name = name
        self.cloud = cloud
        self.gate = Gate(cloud, kind)
        #: In the middle of a turn, stopped at a port.
        self.is_busy = False
        self.is_up = False
        #: µs at which it does something next: tries again, or starts again.
        self.wakes_at = 0

    def go(self, start: Callable[[], None], turn: Callable[[], bool]) -> bool:
        """Let it start if it is down, else take a turn; it may die of it."""
        if self.is_busy or self.cloud.now_us < self.wakes_at:
            return False
        self.is_busy = True
        before = self.cloud.running
        self.cloud.running = self
        try:
            if not self.is_up:
                self.gate.is_doomed = False
                start()
                self.is_up = True
                return True
            return turn()
        except Died as died:
            self._die(died.for_us)
            return True
        except ComputeError:
            self._die(None)  # A journal that takes no write ends its agent, which starts anew.
            return True
        except (EventsError, StoreError) as error:
            if not error.retriable:
                raise
            if isinstance(error, LogUnavailable) and self.cloud.is_broker_out:
                self.cloud.watch.noticed.add(self.name)
            self.wakes_at = self.cloud.now_us + self.cloud.draw_us(50_000, 2 * S)
            return True
        finally:
            self.is_busy = False
            self.cloud.running = before

    def _die(self, for_us: int | None) -> None:
        self.is_up = False
        nap_us = self.cloud.draw_us(1, 20 * S) if for_us is None else for_us
        self.wakes_at = self.cloud.now_us + nap_us

    def kill(self, for_us: int) -> None:
        """Leave it dead for a while, also where it is stopped in the middle of a turn."""
        if self.is_busy:
            self.gate.is_doomed = True
        else:
            self.is_up = False
            self.wakes_at = self.cloud.now_us + for_us


class ConductorProcess:
    """One conductor, and its membership in the group."""

    def __init__(self, name: str, cloud: Cloud) -> None:
        self.process = Process(name, cloud, "conductor")
        self.cloud = cloud
        skews = (0, 0, cloud.dice.rng.randint(-3 * S, 3 * S))
        self._clock = SkewedClock(cloud, cloud.dice.rng.choice(skews))
        self._conductor: conductor_wiring.Conductor | None = None
        self._member: MemoryReader | None = None
        #: Members of dead conductors, and when the group will notice.
        self._ghosts: list[tuple[int, MemoryReader]] = []

    def go(self) -> bool:
        """Take a turn."""
        was_up = self.process.is_up
        did = self.process.go(self._start, self._turn)
        if was_up and not self.process.is_up:
            self._bury()
        return did

    def look_at_group(self) -> None:
        """Have the group notice who is dead."""
        due = [g for g in self._ghosts if g[0] <= self.cloud.now_us]
        for ghost in due:
            self._ghosts.remove(ghost)
            ghost[1].be_expelled()

    def be_expelled(self) -> None:
        """Be taken for dead, and not be."""
        if self._member is not None and self.process.is_up:
            self._member.be_expelled()

    def kill(self, for_us: int) -> None:
        """Leave it dead for a while."""
        self.process.kill(for_us)
        if not self.process.is_up:
            self._bury()

    def _bury(self) -> None:
        if self._member is not None:
            at = self.cloud.now_us + self.cloud.draw_us(1, 10 * S)
            self._ghosts.append((at, self._member))
        self._member = self._conductor = None

    def _start(self) -> None:
        cloud, gate = self.cloud, self.process.gate
        self._member = cloud.log.group(GROUP)
        group = Reader(self._member, gate)
        ports = conductor_wiring.Ports(
            group=cast("LogGroup", group),
            reader=cast("LogReader", Reader(cloud.log.reader(), gate)),
            writer=Writer(cloud.tap, gate, cloud.topics),
            store=cast("Store", GatedStore(cloud.store, gate)),
            clock=self._clock,
            keyring=cloud.keyring,
            topics=cloud.topics,
        )
        options = conductor_wiring.Options(
            service_down_time_s=DOWN_S,
            batch_records_max=cloud.plan.batch_records_max,
            read_ahead_records_min=cloud.plan.read_ahead_records_min,
        )
        self._conductor = conductor_wiring.build(ports, options)

    def _turn(self) -> bool:
        assert self._conductor is not None, f"Expected {self.process.name} to run, but it doesn't"
        return self._conductor.turn()


class HostProcess:
    """One host: its agent, its journal, its driver."""

    def __init__(self, name: str, cloud: Cloud, *, forgets_begun: bool = False) -> None:
        self.name = name
        self.process = Process(name, cloud, "agent")
        self.cloud = cloud
        self.key = cloud.keyring.key(name, 1)
        self.journal = MemoryJournal(forgets_begun=forgets_begun)
        self.memory_mb = cloud.plan.memory_mb
        skews = (0, 0, cloud.dice.rng.randint(-3600 * S, 3600 * S))
        self.clock = SkewedClock(cloud, cloud.dice.rng.choice(skews))
        self._parts: compute_wiring.Parts | None = None

    def go(self) -> bool:
        """Take a turn."""
        was_up = self.process.is_up
        did = self.process.go(self._start, self._turn)
        if was_up and not self.process.is_up:
            self._bury()
        return did

    def kill(self, for_us: int, *, power: bool = False) -> None:
        """Leave it dead for a while; without power, nothing runs on it either."""
        if self.process.is_busy and power:
            return
        self.process.kill(for_us)
        if not self.process.is_up:
            self._bury()
        if power:
            power_failure(self.cloud.world, self.name)

    def _bury(self) -> None:
        self.journal.crash()
        self._parts = None

    def _start(self) -> None:
        cloud, gate = self.cloud, self.process.gate
        size = FakeOptions(
            vcpus=4,
            memory_mb=self.memory_mb,
            disk_gb=400,
            copy_polls=cloud.plan.copy_polls,
        )
        driver = FakeDriver(host=self.name, world=cloud.world, faults=self._fails, options=size)
        node = Node(
            host=self.name,
            key=self.key,
            partitions=cloud.plan.partitions,
            topics=cloud.topics,
            bounds=Bounds(
                report_interval_s=REPORT_S,
                digest_interval_s=60,
                max_concurrent_incoming_live_migrations=cloud.plan.incoming_max,
            ),
        )
        self._parts = compute_wiring.build(
            node,
            cast("Journal", GatedJournal(self.journal, gate)),
            compute_wiring.Ports(
                writer=Writer(cloud.tap, gate, cloud.topics),
                reader=cast("LogReader", Reader(cloud.log.reader(), gate)),
                driver=cast("Hypervisor", GatedDriver(driver, gate, self.journal)),
                clock=self.clock,
            ),
        )

    def _turn(self) -> bool:
        assert self._parts is not None, f"Expected {self.name} to run, but it doesn't"
        did = [
            part.turn() for part in self.cloud.draw_parts(self._parts)
        ]  # a list: each gets its turn
        return any(did)

    def _fails(self, host: str, call: str, instance_id: str) -> Failure | None:
        return self.cloud.failure_at(host, call)
