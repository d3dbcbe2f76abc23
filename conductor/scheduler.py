"""The scheduler: an executor like a node; its answers to `ChooseDestination` are facts.

It locks the hosts' rows, sees what is claimed and reserved, and leaves reservations and answers of
a turn in one transaction; the log is told afterwards, again if need be. Filters and weighers are
small functions, named as nova's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from conductor import limits
from conductor.office import Office
from conductor.scheduler_options import SchedulerOptions
from events.codec import decode_command
from events.commands import ChooseDestination
from events.decisions import DestinationChosen, NoValidHost
from events.log import TopicPartition
from events.requests import Flavor
from projections.store import Answer, Decision, HostRoom, Order, Reservation

Filter = Callable[[HostRoom, ChooseDestination, SchedulerOptions], bool]


def compute_filter(room: HostRoom, _ask: ChooseDestination, _options: SchedulerOptions) -> bool:
    """Pass hosts whose service is up."""
    return room.status == "started"


def different_host_filter(
    room: HostRoom, ask: ChooseDestination, _options: SchedulerOptions
) -> bool:
    """Pass hosts that were not tried yet and may be chosen at all."""
    return room.host not in ask.excluded_hosts


def forced_host_filter(room: HostRoom, ask: ChooseDestination, _options: SchedulerOptions) -> bool:
    """Pass the host that was asked for by name, where one was."""
    return ask.forced_host is None or room.host == ask.forced_host


def room_filter(room: HostRoom, ask: ChooseDestination, options: SchedulerOptions) -> bool:
    """Pass hosts with room: used + wanted <= inventory × ratio − reserved by the host."""
    return ask.claims_nothing or not lacks_room(room, ask.flavor, options)


def lacks_room(room: HostRoom, flavor: Flavor, options: SchedulerOptions) -> bool:
    """Say whether a guest of this size is too much for a host."""
    vcpus = room.vcpus * options.cpu_allocation_ratio_percent // 100 - options.reserved_host_cpus
    memory_mb = (
        room.memory_mb * options.ram_allocation_ratio_percent // 100
        - options.reserved_host_memory_mb
    )
    disk_gb = (
        room.disk_gb * options.disk_allocation_ratio_percent // 100 - options.reserved_host_disk_gb
    )
    return (
        room.vcpus_used + flavor.vcpus > vcpus
        or room.memory_mb_used + flavor.memory_mb > memory_mb
        or room.disk_gb_used + flavor.disk_gb > disk_gb
    )


FILTERS: tuple[tuple[str, Filter], ...] = (
    ("ComputeFilter", compute_filter),
    ("DifferentHostFilter", different_host_filter),
    ("ForcedHostFilter", forced_host_filter),
    ("RoomFilter", room_filter),
)


def ram_weigher(room: HostRoom) -> int:
    """Weigh a host by its free memory, the most first (nova's default spreads guests)."""
    return room.memory_mb - room.memory_mb_used


def unfit(
    rooms: Sequence[HostRoom], ask: ChooseDestination, options: SchedulerOptions
) -> tuple[str, str] | None:
    """Return why the host that was asked for by name can't be taken: a code, nova's sentence."""
    host = ask.forced_host
    room = next((r for r in rooms if r.host == host), None)
    if host is None:
        return None
    if room is None:
        return "unknown-host", f"Compute host {host} could not be found."
    if not compute_filter(room, ask, options):
        return "target-down", f"Compute service of {host} is unavailable at this time."
    if not room_filter(room, ask, options):
        return "host-full", f"There is not enough capacity on host {host} for the instance."
    return None


def select_destination(
    rooms: Sequence[HostRoom], ask: ChooseDestination, options: SchedulerOptions
) -> HostRoom | str:
    """Return the host to take, or the sentence that says why there is none."""
    if (wrong := unfit(rooms, ask, options)) is not None:
        return f"No valid host was found. {wrong[1]}"
    left = list(rooms)
    counts = [f"{len(left)} hosts"]
    for name, passes in FILTERS:
        left = [room for room in left if passes(room, ask, options)]
        counts.append(f"{name}: {len(left)}")
        if not left:
            filtered = ", ".join(counts)
            return f"No valid host was found. There are not enough hosts available ({filtered})."
    return max(left, key=lambda room: (ram_weigher(room), room.host))


def choices_max(hosts_count: int) -> int:
    """Return how many choices a turn may take among so many hosts; 0 for nobody knows yet."""
    looks = limits.SCHEDULER_LOOKS_MAX // hosts_count if hosts_count else 0
    return max(limits.SCHEDULER_ORDERS_MIN, min(looks, limits.SCHEDULER_ORDERS_MAX))


class Scheduler:
    """Answers `ChooseDestination`."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._store = office.ports.store
        self._speaker = office.speaker
        self._topics = office.ports.topics
        self._clock = office.ports.clock
        self._owned = office.owned
        self._options = office.options.scheduler
        #: As many as there were at the last choice.
        self._hosts_count = 0

    def turn(self) -> bool:
        """Decide a bounded number of choices and tell the log; say whether there were any."""
        topic = self._topics.instance_events
        orders = self._office.next_orders(choices_max(self._hosts_count), scheduler=True)
        if orders:
            self._decide(self._owned.acting(topic), orders)
        untold = self._owned.acting(topic, lambda mine: mine.may_tell)
        return (bool(untold) and self._tell_again(untold)) or bool(orders)

    def _decide(self, acting: Mapping[TopicPartition, int], orders: Sequence[Order]) -> None:
        """Choose for each order, store the answers, and tell the log.

        Where it is not known how that ended, answers are looked for until the log was told: what
        is stored is never chosen anew.
        """
        homes = self._owned.of({TopicPartition(o.topic, o.partition) for o in orders})
        told = [mine for mine in homes if not mine.may_tell]
        for mine in homes:
            mine.may_tell = True
        answers = self._store.decide(acting, orders, self._choose, self._clock.now_us())
        for mine in homes:
            mine.to_choose.went([order.command_id for order in orders])
        self._tell(answers)
        for mine in told:
            mine.may_tell = False

    def _tell_again(self, acting: Mapping[TopicPartition, int]) -> bool:
        """Tell the log what is stored and may not be in it."""
        answers = self._store.answers(acting, limits.SCHEDULER_ORDERS_MAX)
        if answers:
            self._tell(answers)
            self._store.told([a.command_id for a in answers])
        if len(answers) < limits.SCHEDULER_ORDERS_MAX:
            for mine in self._owned.of(acting):
                mine.may_tell = False
        return bool(answers)

    def _tell(self, answers: Sequence[Answer]) -> None:
        self._speaker.tell(
            [
                self._speaker.message(
                    TopicPartition(a.topic, a.partition), a.instance_uuid, a.value
                )
                for a in answers
            ]
        )

    def _choose(self, order: Order, rooms: Sequence[HostRoom]) -> Decision:
        self._hosts_count = len(rooms)
        ask = cast("ChooseDestination", decode_command(order.value).command)
        found = select_destination(rooms, ask, self._options)
        if isinstance(found, str):
            code, _ = unfit(rooms, ask, self._options) or ("no-valid-host", "")
            none = NoValidHost(
                saga_id=order.saga_id,
                step=order.step,
                attempt=order.attempt,
                reason=found,
                code=code,
            )
            return Decision(self._speaker.encode(order.instance_uuid, none), None)
        chosen = DestinationChosen(
            saga_id=order.saga_id,
            step=order.step,
            attempt=order.attempt,
            host=found.host,
            node=found.node or found.host,
        )
        room = Reservation(found.host, ask.flavor.vcpus, ask.flavor.memory_mb, ask.flavor.disk_gb)
        claim = None if ask.claims_nothing else room
        return Decision(self._speaker.encode(order.instance_uuid, chosen), claim)
