"""A fact that was said under a key that opens later, and the word that brings it back."""

from __future__ import annotations

from events.codec import encode_fact
from events.envelope import Meta
from events.instance import GuestAbsent
from events.log import Message, TopicPartition
from events.requests import RecordRequeued
from events.seal import FIRST, MAC, PREV, MasterKeyring, sealed_message


def said_too_early(home: TopicPartition, instance_id: str, keyring: MasterKeyring) -> Message:
    """Return what the host `late` says of an instance before its key is open."""
    meta = Meta(
        source="compute/late", instance_id=instance_id, occurred_at=1, sequence=1, boot_epoch=1
    )
    return sealed_message(
        topic=home.topic,
        partition=home.partition,
        key=instance_id,
        value=encode_fact(meta, GuestAbsent()),
        prev=FIRST,
        by=keyring.key("late", 1),
    )


def word_for(message: Message, offset: int) -> RecordRequeued:
    """Return the word that brings a message back, which stands at an offset."""
    headers = dict(message.headers)
    return RecordRequeued(
        partition=message.partition,
        offset=offset,
        key=message.key or b"",
        value=message.value or b"",
        prev=headers.get(PREV) or b"",
        mac=headers.get(MAC) or b"",
        user_id="operator",
        reason="known since",
    )
