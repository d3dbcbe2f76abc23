"""Who of a group reads which partition: each topic divided by itself, as evenly as it goes.

The client's own assignor counts partitions of all topics together: of two members one may get a
whole topic and the other a whole other, and in our case all the work is in one. Otherwise this is
its cooperative and sticky one, under the same name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment


class _About(NamedTuple):
    """What a member says of itself, of one topic."""

    topics: list[str]
    owned_partitions: list[Any]
    generation_id: int


class _Member(NamedTuple):
    member_id: str
    metadata: _About


class EachTopicAssignor(CooperativeStickyAssignor):
    """Divides each topic as if there were no other."""

    def assign(self, cluster: Any, members: Sequence[Any]) -> dict[str, Any]:
        """Return the partitions that each member has in this round."""
        whole: dict[str, list[tuple[str, list[int]]]] = defaultdict(list)
        for topic in sorted({t for each in members for t in each.metadata.topics}):
            asking = [_of(each, topic) for each in members if topic in each.metadata.topics]
            round_: dict[str, Any] = super().assign(cluster, asking)  # type: ignore[no-untyped-call]  # the client ships no types
            for member_id, given in round_.items():
                whole[member_id] += [(name, list(of)) for name, of in given.assigned_partitions]
        return {
            each.member_id: ConsumerProtocolAssignment(self.version, whole[each.member_id], b"")
            for each in members
        }


def _of(member: Any, topic: str) -> _Member:
    owned = [
        each
        for each in getattr(member.metadata, "owned_partitions", None) or ()
        if each.topic == topic
    ]
    return _Member(member.member_id, _About([topic], owned, member.metadata.generation_id))
