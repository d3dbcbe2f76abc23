"""The relay: sends the outbox's orders as commands, and notes what was acknowledged.

An order is sent once it is known to be in the outbox, mostly without being read from there. What
was sent leaves the outbox with the next batch, or in the next turn where there is none. At least
once: a relay that dies in between sends again, under the same command id, and the host's
inbox knows it. A zombie's late sends are harmless for the same reason and because every
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
from events.seal import EXPIRES_AT, Key, MasterKeyring, command_key, sealed_message, split_key_id
from projections.store import Order
from statemachines.rules import Rules

_log = logging.getLogger(__name__)


class Relay:
    """Sends what the outbox holds."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._store = office.ports.store
        self._writer = office.ports.writer
        self._speaker = office.speaker
        self._keyring = office.ports.keyring
        self._topics = office.ports.topics
        self._clock = office.ports.clock
        self._owned = office.owned
        self._keys: dict[TopicPartition, _CommandKeys] = {}

    def turn(self) -> bool:
        """Send a bounded number of orders; say whether there were any."""
        self.note_sent()
        orders = self._office.next_orders(limits.RELAY_ORDERS_MAX, scheduler=False)
        if not orders:
            return False
        acting = self._owned.acting(self._topics.instance_events)
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

    def note_sent(self) -> None:
        """Take out of the outbox what was sent before, and went out with no batch since."""
        left = {tp: mine for tp, mine in self._owned.partitions.items() if mine.sent}
        if left:
            epochs = {tp: mine.epoch for tp, mine in left.items()}
            orders = [order for mine in left.values() for order in mine.sent]
            self._store.sent(epochs, orders, max(mine.sent_at for mine in left.values()))
            for mine in left.values():
                mine.sent = []

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
        now = self._clock.now_us()
        for order, _ in sendable:
            mine = self._owned.home(order)
            mine.to_send.went([order.command_id])
            mine.sent.append(order)
            mine.sent_at = now

    def _send_one(
        self, acting: Mapping[TopicPartition, int], order: Order, message: Message
    ) -> None:
        try:
            self._writer.append([message])
        except UnknownTopic:
            self._give_up(acting, [order])
        else:
            self._note(acting, [order])

    def _give_up(self, acting: Mapping[TopicPartition, int], orders: list[Order]) -> None:
        """A host that has no open key, or no topic, is as lost as one that is silent."""
        self._note(acting, orders)
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

    def _note(self, acting: Mapping[TopicPartition, int], orders: list[Order]) -> None:
        """Take orders out of the outbox at once."""
        self._store.sent(acting, orders, self._clock.now_us())
        for order in orders:
            self._owned.home(order).to_send.went([order.command_id])

    def _message(self, order: Order) -> Message | None:
        partition = TopicPartition(order.topic, order.partition)
        if (fold := self._owned.fold_of(partition)) is None:
            return None
        keys = self._keys.get(partition)
        if keys is None or not keys.are_of(fold.rules):
            keys = self._keys[partition] = _CommandKeys(self._keyring, fold.rules)
        if (key := keys.key(order.host)) is None:
            return None
        message = sealed_message(
            topic=self._topics.commands(order.host),
            partition=0,
            key=order.instance_uuid,
            value=order.value,
            prev=b"",
            by=key,
        )
        expires_at = self._clock.now_us() + order.deadline_s * 1_000_000
        header = (EXPIRES_AT, str(expires_at).encode())
        return message._replace(headers=(*message.headers, header))


class _CommandKeys:
    """Under which key each host is written to, while the same keys are open."""

    def __init__(self, keyring: MasterKeyring, rules: Rules) -> None:
        self._keyring = keyring
        self._opened, self._closed = rules.keys_open, rules.keys_closed
        self._enrolments = newest_enrolments(rules)
        self._keys: dict[str, Key] = {}

    def are_of(self, rules: Rules) -> bool:
        """Say whether no key was opened or closed since."""
        return self._opened is rules.keys_open and self._closed is rules.keys_closed

    def key(self, host: str) -> Key | None:
        """Return the key of commands to a host; None where it has no open key."""
        if (known := self._keys.get(host)) is not None:
            return known
        if (enrolment := self._enrolments.get(host)) is None:
            return None
        key = self._keys[host] = command_key(self._keyring.key(host, enrolment))
        return key


def newest_enrolments(rules: Rules) -> dict[str, int]:
    """Return, for each host that has an open key, the newest enrolment with one."""
    newest: dict[str, int] = {}
    for key_id in rules.keys_open - rules.keys_closed:
        name, enrolment = split_key_id(key_id)
        newest[name] = max(enrolment, newest.get(name, 0))
    return newest
