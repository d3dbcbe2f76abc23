"""How the fold's states are stored: one body each, readable in any version ever written.

A body is the mark `R\\x01`, the 8-byte fingerprint of the schema that says which fields there are
(`held.vN`, an `.avsc` as for facts), and the values in the order of that schema as MessagePack.
MessagePack and not Avro, because msgspec makes the structs themselves in compiled code: a state is
read and written for every fact of an instance that is not in memory, and only by us (ADR 0015). A
new version adds fields at the end, with defaults, so that an older body is one that stops early.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import msgspec

from events.codec import versions_of
from events.errors import BadRecord
from statemachines.held import Held
from statemachines.node import NodeHeld
from statemachines.rules import Rules

State = TypeVar("State")

MARK: Final = b"R\x01"
HEADER_BYTES: Final = 10


class StateCodec(Generic[State]):
    """Bytes ⇄ one class of states, in any version ever written."""

    def __init__(self, cls: type[State], name: str, *, has_sets: bool = False) -> None:
        self._name = name
        versions = versions_of(name, cls)
        self._known = frozenset(MARK + version for version in versions)
        self._header = MARK + versions[-1]
        # Sets have no order, and their bytes must have one; dictionaries keep theirs.
        self._encode = msgspec.msgpack.Encoder(order="deterministic" if has_sets else None).encode
        self._decode = msgspec.msgpack.Decoder(cls).decode

    def encode(self, state: State) -> bytes:
        """Return the body of a state in the newest version; equal states have equal bodies."""
        return self._header + self._encode(state)

    def decode(self, body: bytes) -> State:
        """Return the state of a body; raises BadRecord where no version of ours wrote it."""
        if body[:HEADER_BYTES] not in self._known:
            mark = body[:HEADER_BYTES].hex() or "nothing"
            raise BadRecord("unknown-schema", f"Expected a known {self._name}, but {mark}")
        try:
            return self._decode(memoryview(body)[HEADER_BYTES:])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            sentence = f"Expected the values of {self._name}, but {error}"
            raise BadRecord("undecodable", sentence) from error


HELD_CODEC: Final = StateCodec(Held, "Held")
NODE_CODEC: Final = StateCodec(NodeHeld, "NodeHeld")
RULES_CODEC: Final = StateCodec(Rules, "Rules", has_sets=True)
