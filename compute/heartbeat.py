"""A host says that it is alive; nothing of it is kept and nothing is numbered.

Heartbeats pass the journal by: one that could not be sent is worth nothing later.
"""

from __future__ import annotations

from compute.journal import Journal
from compute.limits import HEARTBEAT_RETRY_S
from compute.node import Node
from events.codec import encode_fact
from events.envelope import COMPUTE, Meta
from events.errors import LogUnavailable
from events.log import LogWriter, Message
from events.node import HeartbeatSent
from events.ports import Clock
from events.seal import sealed_message
from events.topics import partition_of


class Heartbeat:
    """Sends the heartbeats of one host, once its agent has started."""

    def __init__(self, *, node: Node, journal: Journal, writer: LogWriter, clock: Clock) -> None:
        self._node = node
        self._journal = journal
        self._writer = writer
        self._clock = clock
        self._due_s = clock.monotonic_s()

    def turn(self) -> bool:
        """Leave a heartbeat in the log if one is due; False where not, or the log is away."""
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s or not self._journal.boot_epoch():
            return False
        try:
            self._writer.append([self._message()])
        except LogUnavailable:
            self._due_s = now_s + HEARTBEAT_RETRY_S
            return False
        self._due_s = now_s + self._node.bounds.report_interval_s
        return True

    def _message(self) -> Message:
        node = self._node
        meta = Meta(
            source=COMPUTE + node.host,
            boot_epoch=self._journal.boot_epoch(),
            instance_id=node.host,
            occurred_at=self._clock.now_us(),
        )
        sent = HeartbeatSent(report_interval_s=node.bounds.report_interval_s)
        return sealed_message(
            topic=node.topics.heartbeats,
            partition=partition_of(node.host, node.partitions),
            key=node.host,
            value=encode_fact(meta, sent),
            prev=b"",
            by=node.key,
        )
