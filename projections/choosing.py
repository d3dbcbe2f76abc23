"""Several choices in a row, each in the knowledge of what the ones before it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from projections.store import Answer, Choose, HostRoom, Order, Reservation


class Choice(NamedTuple):
    """What became of one order of the scheduler's."""

    order: Order
    answer: Answer
    reservation: Reservation | None


def choices(orders: Sequence[Order], rooms: Sequence[HostRoom], choose: Choose) -> list[Choice]:
    """Return the choice for each order, in order; what one reserves is taken for the next."""
    left = {room.host: room for room in rooms}
    made: list[Choice] = []
    for order in orders:
        decision = choose(order, tuple(left.values()))
        answer = Answer(
            command_id=order.command_id,
            topic=order.topic,
            partition=order.partition,
            instance_uuid=order.instance_uuid,
            value=decision.value,
        )
        made.append(Choice(order, answer, decision.reservation))
        if decision.reservation is not None:
            host = decision.reservation.host
            left[host] = _less(left[host], decision.reservation)
    return made


def _less(room: HostRoom, taken: Reservation) -> HostRoom:
    return room._replace(
        vcpus_used=room.vcpus_used + taken.vcpus,
        memory_mb_used=room.memory_mb_used + taken.memory_mb,
        disk_gb_used=room.disk_gb_used + taken.disk_gb,
    )
