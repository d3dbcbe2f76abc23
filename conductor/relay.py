"""The relay: sends the outbox's orders as commands, and deletes what was acknowledged.

At least once: a relay that dies after sending sends again, under the same command id, and the
host's inbox knows it. A zombie's late sends are harmless for the same reason and because every
command names its generation.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from conductor import limits
from conductor.office import Office
from events.decisions import StepHostLost
from events.errors import UnknownTopic
from events.log import Message, TopicPartition
from events.seal import EXPIRES_AT, command_key, sealed_message, split_key_id
from projections.store import Order
from statemachines.rules import Rules

_log = logging.getLogger(__name__)


class Relay:
    """Sends what the outbox holds."""

    def __init__(self, office: Office) -> None:
        self._store = office.ports.store
        self._writer = office.ports.writer
        self._speaker = office.speaker
        self._keyring = office.ports.keyring
        self._topics = office.ports.topics
        self._clock = office.ports.clock
        self._owned = office.owned

    def turn(self) -> bool:
        """Send a bounded number of orders; say whether there were any."""
        acting = self._owned.acting(self._topics.instance_events)
        if not acting:
            return False
        orders = self._store.unsent(acting, limits.RELAY_ORDERS_MAX, scheduler=False)
        if not orders:
            return False
        sendable: list[tuple[Order, Message]] = []
        homeless: list[Order] = []
        for order in orders:
            message = self._message(order)
            if message is None:
                homeless.append(order)
            else:
                sendable.append((order, message))
        if sendable:
            self._send(acting, sendable)
        if homeless:
            self._give_up(acting, homeless)
        return True

    def _send(
        self, acting: Mapping[TopicPartition, int], sendable: list[tuple[Order, Message]]
    ) -> None:
        try:
            self._writer.append([message for _, message in sendable])
        except UnknownTopic as error:
            _log.error("no command topic: %s", error)
            for order, message in sendable:
                self._send_one(acting, order, message)
            return
        self._store.sent(acting, [order for order, _ in sendable], self._clock.now_us())

    def _send_one(
        self, acting: Mapping[TopicPartition, int], order: Order, message: Message
    ) -> None:
        try:
            self._writer.append([message])
        except UnknownTopic:
            self._give_up(acting, [order])
        else:
            self._store.sent(acting, [order], self._clock.now_us())

    def _give_up(self, acting: Mapping[TopicPartition, int], orders: list[Order]) -> None:
        """A host that has no open key, or no topic, is as lost as one that is silent."""
        self._store.sent(acting, orders, self._clock.now_us())
        self._speaker.say(
            [
                (
                    TopicPartition(o.topic, o.partition),
                    o.instance_uuid,
                    StepHostLost(saga_id=o.saga_id, step=o.step, attempt=o.attempt, host=o.host),
                )
                for o in orders
            ]
        )

    def _message(self, order: Order) -> Message | None:
        fold = self._owned.fold_of(TopicPartition(order.topic, order.partition))
        key_id = None if fold is None else open_key_of(fold.rules, order.host)
        if key_id is None:
            return None
        name, enrolment = split_key_id(key_id)
        message = sealed_message(
            topic=self._topics.commands(order.host),
            partition=0,
            key=order.instance_uuid,
            value=order.value,
            prev=b"",
            by=command_key(self._keyring.key(name, enrolment)),
        )
        expires_at = self._clock.now_us() + order.deadline_s * 1_000_000
        header = (EXPIRES_AT, str(expires_at).encode())
        return message._replace(headers=(*message.headers, header))


def open_key_of(rules: Rules, host: str) -> str | None:
    """Return the newest open key of a host; None where it has none."""
    mine = [k for k in rules.keys_open if split_key_id(k)[0] == host and rules.is_open(k)]
    return max(mine, key=lambda k: split_key_id(k)[1], default=None)
