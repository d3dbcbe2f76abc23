"""Every member of a group gets its share of each topic, not of all topics together."""

from __future__ import annotations

from typing import Any, NamedTuple

from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription

from events.kafka_log.assignor import EachTopicAssignor

TOPICS = ("instances", "nodes")
Owned = dict[str, list[int]]


class Cluster:
    """Two topics of six partitions."""

    def topics(self) -> set[str]:
        return set(TOPICS)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(6)) if topic in TOPICS else set()


class Member(NamedTuple):
    """A member as the client knows it."""

    member_id: str
    metadata: Any


def member(name: str, owned: Owned) -> Member:
    of = ConsumerProtocolSubscription.TopicPartition
    metadata = ConsumerProtocolSubscription(
        version=1,
        topics=list(TOPICS),
        user_data=b"",
        owned_partitions=[of(topic=topic, partitions=found) for topic, found in owned.items()],
    )
    return Member(name, metadata)


def divided(owned: dict[str, Owned]) -> dict[str, Owned]:
    """What each has after the two rounds of a cooperative rebalance."""
    for _ in range(2):
        members = [member(name, found) for name, found in owned.items()]
        assignor = EachTopicAssignor()  # type: ignore[no-untyped-call]  # the client ships no types
        given = assignor.assign(Cluster(), members)
        owned = {
            name: {topic: list(found) for topic, found in each.assigned_partitions}
            for name, each in given.items()
        }
    return owned


def test_a_second_member_gets_half_of_each_topic() -> None:
    first = {topic: list(range(6)) for topic in TOPICS}

    found = divided({"a": first, "b": {}})

    assert {name: {t: len(p) for t, p in of.items()} for name, of in found.items()} == {
        "a": {"instances": 3, "nodes": 3},
        "b": {"instances": 3, "nodes": 3},
    }


def test_a_partition_is_given_to_one_member_alone() -> None:
    found = divided({"a": {topic: list(range(6)) for topic in TOPICS}, "b": {}, "c": {}})

    given = sorted((t, p) for of in found.values() for t, ps in of.items() for p in ps)
    assert given == [(topic, p) for topic in TOPICS for p in range(6)]


def test_nobody_moves_where_the_shares_are_even() -> None:
    even = {
        "a": {"instances": [0, 2, 4], "nodes": [1, 3, 5]},
        "b": {"instances": [1, 3, 5], "nodes": [0, 2, 4]},
    }

    assert divided(even) == even
