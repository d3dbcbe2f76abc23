"""Orders of ours that wait in the outbox, as far as this process knows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from conductor import limits
from projections.store import Order


@dataclass(slots=True)
class Waiting:
    """Orders of one kind and partition: at hand since we put them there, or to be looked for.

    While nobody must look, what is at hand is all that waits in the outbox. Who must look has
    nothing at hand: from a takeover on, or from whatever else puts an order there, until a look
    finds the end.
    """

    must_look: bool = True
    #: Seconds of the clock at which the partition was known to be ours.
    ours_at_s: float = 0.0
    #: By command id, in the order in which they came.
    at_hand: dict[str, Order] = field(default_factory=dict)

    def came(self, orders: Iterable[Order], now_s: float) -> None:
        """Hear of orders that are known to be in the outbox, of a partition that is ours now."""
        self.ours_at_s = now_s
        if self.must_look:
            return
        self.at_hand |= {order.command_id: order for order in orders}
        if len(self.at_hand) > limits.ORDERS_AT_HAND_MAX:
            self.look()

    def went(self, command_ids: Iterable[str]) -> None:
        """Hear of orders that wait no longer."""
        if self.at_hand:
            for command_id in command_ids:
                self.at_hand.pop(command_id, None)

    def doubt(self, now_s: float) -> None:
        """Trust nothing at hand of a partition that may be another's by now: the outbox knows."""
        if self.at_hand and now_s - self.ours_at_s > limits.AT_HAND_S:
            self.look()

    def look(self) -> None:
        """Have the outbox looked into: it may hold more than what is at hand."""
        self.must_look = True
        self.at_hand = {}
