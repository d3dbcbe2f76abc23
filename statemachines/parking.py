"""Records that wait as part of an instance's state, and when each may be judged.

`early`: something before it in its writer's chain is missing; other writers go on. `schema`: the
rules in force don't admit it yet; everything about the instance waits behind it, in log order.
`set-aside`: a worker died at it twice; everything waits for a person. Bounded: what is beyond is
dropped, with a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from events.envelope import Envelope
from events.log import Record
from events.seal import MAC, PREV, key_id_in, split_key_id
from events.values import replace
from statemachines.chain import head_of
from statemachines.held import Head, Held, Parked
from statemachines.rules import Rules
from statemachines.verdict import Rejected

#: Records, and bytes of them, that may wait for one instance.
PARKED_MAX: Final = 256
PARKED_BYTES_MAX: Final = 1024 * 1024
#: Reason of a record that was set aside and waits for its turn alone, by an operator's word.
RELEASED: Final = "released"


def parked_of(record: Record, *, source: str, sequence: int, reason: str) -> Parked:
    """Return a record in the form in which it waits."""
    headers = dict(record.headers)
    return Parked(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_us=record.timestamp_us,
        leader_epoch=record.leader_epoch,
        key=record.key or b"",
        value=record.value or b"",
        prev=headers.get(PREV) or b"",
        mac=headers.get(MAC) or b"",
        source=source,
        sequence=sequence,
        reason=reason,
    )


def record_of(parked: Parked) -> Record:
    """Return the record that waited, as the log gave it."""
    return Record(
        parked.topic,
        parked.partition,
        parked.offset,
        parked.key,
        parked.value,
        ((PREV, parked.prev), (MAC, parked.mac)),
        parked.timestamp_us,
        parked.leader_epoch,
    )


def fits(held: Held, parked: Parked) -> bool:
    """Say whether one more record may wait."""
    size = sum(len(p.value) for p in held.parked) + len(parked.value)
    return len(held.parked) < PARKED_MAX and size <= PARKED_BYTES_MAX


def with_parked(held: Held, parked: Parked) -> Held:
    """Return the state in which the record waits too; by offset, so that log order is kept."""
    waiting = sorted((*held.parked, parked), key=lambda p: p.offset)
    aside = held.set_aside or parked.reason == "set-aside"
    return replace(held, parked=tuple(waiting), set_aside=aside)


def without(held: Held, offset: int) -> Held:
    """Return the state in which the record at an offset waits no more."""
    return replace(held, parked=tuple(p for p in held.parked if p.offset != offset))


def is_set_aside(held: Held, offset: int) -> bool:
    """Say whether the record at an offset waits for a person."""
    return any(p.offset == offset and p.reason == "set-aside" for p in held.parked)


def released(held: Held, offset: int) -> Held:
    """Return the state in which a record that was set aside waits for its turn alone."""
    parked = tuple(replace(p, reason=RELEASED) if p.offset == offset else p for p in held.parked)
    return replace(held, parked=parked, set_aside=any(p.reason == "set-aside" for p in parked))


def blocks(held: Held | None) -> bool:
    """Say whether everything about the instance has to wait in log order."""
    if held is None or not (held.parked or held.set_aside):
        return False
    return held.set_aside or any(p.reason != "early" for p in held.parked)


def ready(held: Held | None, rules: Rules) -> Parked | None:
    """Return the record that may be judged now; None where none may."""
    if held is None or not held.parked or held.set_aside:
        return None
    ordered = [p for p in held.parked if p.reason in ("schema", RELEASED)]
    if ordered:
        first = ordered[0]
        is_its_turn = first.reason == RELEASED or rules.admits(first.value[2:10].hex())
        return first if is_its_turn else None
    return _next_of_its_chain(held, held.parked)


def _next_of_its_chain(held: Held, waiting: Iterable[Parked]) -> Parked | None:
    for parked in waiting:
        head = head_of(held, parked.source)
        heard = 0 if head is None else head.sequence
        if parked.sequence <= heard + 1 or (head is not None and _is_outlived(parked, head)):
            return parked
    return None


def _is_outlived(parked: Parked, head: Head) -> bool:
    """Say whether the writer was enrolled again since: what was missing will never come."""
    enrolment = _enrolment_of(parked)
    return enrolment is not None and enrolment < head.enrolment


def _enrolment_of(parked: Parked) -> int | None:
    try:
        return split_key_id(key_id_in(((PREV, parked.prev), (MAC, parked.mac))))[1]
    except ValueError:
        return None  # Unsealed, as in the tests of the pure heart.


def early(held: Held, envelope: Envelope[object]) -> Held | Rejected | None:
    """Return the state in which an early fact waits, why it can't, or None if it does already."""
    source, sequence = envelope.meta.source, envelope.meta.sequence
    parked = parked_of(envelope.record, source=source, sequence=sequence, reason="early")
    mine = [p for p in held.parked if p.source == source and p.sequence == sequence]
    if any(_enrolment_of(p) == _enrolment_of(parked) for p in mine):
        return None
    if not fits(held, parked):
        return full(held)
    return with_parked(held, parked)


def full(held: Held) -> Rejected:
    """Say that no more records of an instance may wait."""
    return Rejected(
        "parked-full",
        f"Expected at most {PARKED_MAX} records of {held.instance_id} to wait, but there are more",
    )


def unparked(held: Held | None, envelope: Envelope[object]) -> Held | None:
    """Return the state without the record in hand, where it was one that waited."""
    if held is None or not held.parked:
        return held
    if not any(p.offset == envelope.offset for p in held.parked):
        return held
    return without(held, envelope.offset)
