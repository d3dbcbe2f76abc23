"""Records opened before their turn: what depends on nothing but their own bytes.

Size, key, MAC, chain and decoding need no state and no rules, so they may be done while the batch
before is still being written. Nothing is concluded here: what can't be opened is left to the fold,
which opens it in its turn and says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from conductor.opening import Decode, chained_over, envelope_of, text_of
from events.envelope import Envelope
from events.errors import BadRecord
from events.log import Record
from events.seal import Keyring, Sealed, unseal
from events.topics import CONTROL_KEY

#: An authentic record: who sealed it, its key as text, and what it says where that was read.
Opened = tuple[Sealed, str, Envelope[object] | None]


class Ahead(NamedTuple):
    """A stretch of a partition, its chain, and of each record what was opened of it, if it was."""

    records: Sequence[Record] = ()
    begin: bytes = b""
    chain: bytes = b""
    opened: Sequence[Opened | None] = ()

    def of(self, records: Sequence[Record], begin: bytes) -> Ahead:
        """Return this where it is of these records behind that chain, else one of them, unopened.

        The chain says all that came before: whatever was done over again or anew differs in it.
        """
        if self.begin == begin and self.records == records:
            return self
        return Ahead(records, begin, chained_over(begin, records), [None] * len(records))


def opened(record: Record, keyring: Keyring) -> Opened:
    """Return an authentic record, not read yet; raises BadRecord."""
    return unseal(record, keyring), text_of(record.key), None


def opened_ahead(
    records: Sequence[Record],
    begin: bytes,
    *,
    keyring: Keyring,
    decode: Decode,
    aside: Collection[int],
) -> Ahead:
    """Return what can be opened of these records, but for those that were set aside."""
    found: list[Opened | None] = []
    for record in records:
        try:
            found.append(None if record.offset in aside else _read(record, keyring, decode))
        except BadRecord:
            found.append(None)
    return Ahead(records, begin, chained_over(begin, records), found)


def _read(record: Record, keyring: Keyring, decode: Decode) -> Opened:
    sealed, key, _ = opened(record, keyring)
    said = None if key == CONTROL_KEY else envelope_of(record, sealed, key, decode)
    return sealed, key, said
