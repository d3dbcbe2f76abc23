"""What must hold of the records of the log when a healed cloud has come to rest.

Each function returns the laws that it found broken, as sentences that begin with the law's name.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from events.codec import decode_fact
from events.envelope import COMPUTE
from events.errors import BadRecord
from events.log import TopicPartition

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud


def chains_at_rest(cloud: Cloud) -> list[str]:
    """I11: what a head says was heard stands in the log, without a gap."""
    said: dict[tuple[str, str], set[int]] = {}
    for number in range(cloud.plan.partitions):
        tp = TopicPartition(cloud.topics.instance_events, number)
        for record in cloud.log.partition(tp).records:
            if (found := _numbered(record.value or b"")) is not None:
                source, uuid, sequence = found
                said.setdefault((source, uuid), set()).add(sequence)
    broken = []
    for row in cloud.watch.instances():
        held = cloud.watch.held(row.uuid)
        for head in () if held is None else held.heads:
            heard = said.get((head.source, row.uuid), set())
            missing = set(range(1, head.sequence + 1)) - heard
            if missing:
                broken.append(f"I11: {head.source} about {row.uuid}: {sorted(missing)} missing")
    return broken


@lru_cache(maxsize=16_384)
def _numbered(value: bytes) -> tuple[str, str, int] | None:
    """Return which host's fact about which instance this is, and its number; None if it is none."""
    try:
        meta, _ = decode_fact(value)
    except BadRecord:
        return None
    is_of_host = meta.source.startswith(COMPUTE)
    return (meta.source, meta.instance_id, meta.sequence) if is_of_host else None


def misrouted_at_rest(cloud: Cloud) -> list[str]:
    """K9: a record in a topic for which it was not sealed is in quarantine."""
    rows = cloud.database.rows["quarantine"]
    return [f"K9: {key} was believed" for key in cloud.watch.misrouted if key not in rows]
