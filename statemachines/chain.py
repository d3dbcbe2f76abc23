"""Is this the next thing that its writer said? Numbers, hashes and boots of one writer's chain.

Every host numbers its facts about an instance from 1 without gaps and names in each the hash of the
one before. The head of every chain is part of the instance's state, so judging needs nothing else.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from events.envelope import Envelope
from events.seal import FIRST
from events.values import replace
from statemachines.held import Head, Held

#: Records of each chain that are known again: a repeat of these with another content is
#: equivocation; of older ones the auditor finds it.
KNOWN_MAX: Final = 8
#: Bytes kept of the hash of each of them but the last. Nobody finds another record for 16 given
#: bytes; whoever looks for two records of one mark gets his second taken for a repeat of the first.
MARK_BYTES: Final = 16
#: Writers remembered of one instance.
HEADS_MAX: Final = 64


class Place(Enum):
    """Where a fact stands in its writer's chain."""

    NEXT = "next"
    REPEAT = "repeat"
    EQUIVOCATION = "equivocation"
    GAP = "gap"
    BROKEN = "broken"
    OLDER_BOOT = "older-boot"
    OLDER_KEY = "older-key"
    #: The writer lost its journal and was enrolled again: number 1 of a new chain.
    AFRESH = "afresh"


def head_of(held: Held, source: str) -> Head | None:
    """Return how far a writer's chain was heard; None where it never spoke."""
    for head in held.heads:
        if head.source == source:
            return head
    return None


def place(head: Head | None, envelope: Envelope[object]) -> Place:
    """Say where a numbered fact stands in its chain."""
    meta = envelope.meta
    if head is None:
        if meta.sequence != 1:
            return Place.GAP
        return Place.NEXT if envelope.prev == FIRST else Place.BROKEN
    if envelope.enrolment != head.enrolment:
        if envelope.enrolment < head.enrolment:
            return Place.OLDER_KEY
        if meta.sequence != 1:
            return Place.GAP
        return Place.AFRESH if envelope.prev == FIRST else Place.BROKEN
    ahead = meta.sequence - head.sequence
    if ahead != 1:
        return Place.GAP if ahead > 1 else _repeat(head, envelope)
    if meta.boot_epoch < head.boot_epoch:
        return Place.OLDER_BOOT
    return Place.NEXT if envelope.prev == head.digest else Place.BROKEN


def _repeat(head: Head, envelope: Envelope[object]) -> Place:
    back = head.sequence - envelope.meta.sequence
    if back == 0:
        same = head.digest == envelope.digest
    else:
        begin = len(head.marks) - back * MARK_BYTES
        same = begin < 0 or head.marks[begin : begin + MARK_BYTES] == _mark(envelope.digest)
    return Place.REPEAT if same else Place.EQUIVOCATION


def moved(held: Held, envelope: Envelope[object]) -> Held:
    """Return the state with the writer's head on this fact."""
    return replace(held, heads=heads_after(held, envelope))


def heads_after(held: Held, envelope: Envelope[object]) -> tuple[Head, ...]:
    """Return the heads of an instance, the writer's on this fact."""
    meta, heads = envelope.meta, held.heads
    old = head_of(held, meta.source)
    follows = old is not None and old.enrolment == envelope.enrolment
    head = Head(
        source=meta.source,
        enrolment=envelope.enrolment,
        boot_epoch=meta.boot_epoch,
        sequence=meta.sequence,
        digest=envelope.digest,
        marks=marks_after(old) if follows else b"",
    )
    return _with(heads, old, head)


def marks_after(head: Head | None) -> bytes:
    """Return the marks of what was before the next record of a chain."""
    if head is None:
        return b""
    return (head.marks + _mark(head.digest))[-(KNOWN_MAX - 1) * MARK_BYTES :]


def _mark(digest: bytes) -> bytes:
    return digest[:MARK_BYTES].ljust(MARK_BYTES, b"\0")  # What an operator names may be shorter.


def with_head(held: Held, head: Head) -> Held:
    """Return the state with this head in the place of its writer's old one."""
    return replace(held, heads=_with(held.heads, head_of(held, head.source), head))


def _with(heads: tuple[Head, ...], old: Head | None, head: Head) -> tuple[Head, ...]:
    """Return the heads with one in the place of its writer's old one, or behind all."""
    if old is None:
        return (*heads, head)
    after = list(heads)
    after[heads.index(old)] = head
    return tuple(after)
