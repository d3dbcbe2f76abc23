"""Names of things, each with its own type, and the ids that are functions of the log.

Nothing here draws a random number: the same history gives the same ids, so that a restored
database issues its commands again under the ids that the hosts already know.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1
from operator import itemgetter
from typing import Final, NewType
from uuid import NAMESPACE_URL, uuid5

InstanceId = NewType("InstanceId", str)
HostName = NewType("HostName", str)
RequestId = NewType("RequestId", str)
SagaId = NewType("SagaId", str)
CommandId = NewType("CommandId", str)

#: The namespace of every id that Regente derives.
NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:regente")

_NAMESPACE: Final = NAMESPACE.bytes
#: Of the hexadecimal digits of a hash: those that stay, between one of the version (the thirteenth)
#: and one that holds the variant of RFC 4122 in its upper two bits (the seventeenth).
_STAYING: Final[Callable[[str], tuple[str, ...]]] = itemgetter(
    slice(0, 8), slice(8, 12), slice(13, 16), slice(17, 20), slice(20, 32)
)
_VARIANT: Final = 16
_UUIDS: Final = {
    digit: f"%s-%s-5%s-{'89ab'[int(digit, 16) & 3]}%s-%s" for digit in "0123456789abcdef"
}

#: Positions leave room for this many rows of one kind that one record may cause.
IDS_PER_RECORD: Final = 16


def uuid_of(name: str) -> str:
    """Return the text of `uuid5(NAMESPACE, name)`; the library takes six times as long for it."""
    drawn = sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    return _UUIDS[drawn[_VARIANT]] % _STAYING(drawn)


def saga_id(instance_id: InstanceId, saga: str, identity: str) -> SagaId:
    """Name the saga that the fact with `identity` starts for an instance."""
    return SagaId(uuid_of(f"{instance_id}/{saga}/{identity}"))


def command_id(saga: SagaId, step: str, attempt: int, command: str, host: str) -> CommandId:
    """Name one command of one attempt of one step, addressed to one host."""
    return CommandId(uuid_of(f"{saga}/{step}/{attempt}/{command}/{host}"))


def resend_id(instance_id: InstanceId, source: str, generation: int, missing: int) -> CommandId:
    """Name the command by which a writer is asked for its facts from a number on."""
    return CommandId(uuid_of(f"{instance_id}/resend/{source}/{generation}/{missing}"))


def elapsed_id(instance_id: InstanceId, action: str, since: int) -> RequestId:
    """Name the request that nobody made: an action whose time came by itself."""
    return RequestId(f"req-{uuid_of(f'{instance_id}/elapsed/{action}/{since}')}")


def image_id(saga: SagaId) -> str:
    """Name the image that a saga makes: nobody else's, whatever the request says."""
    return str(uuid5(NAMESPACE, f"{saga}/image"))


def unasked_id(position: str) -> RequestId:
    """Name the request that nobody made: what a fact at a position called for by itself."""
    return RequestId(f"req-{uuid5(NAMESPACE, position)}")


def row_id(offset: int, partitions: int, partition: int, n: int) -> int:
    """Number the n-th row that the record at a position causes; unique within a topic."""
    assert 0 <= n < IDS_PER_RECORD, f"Expected at most {IDS_PER_RECORD} rows a record, but {n=}"
    return (offset * partitions + partition) * IDS_PER_RECORD + n


def part_id(instance_id: InstanceId, kind: str, identity: str, n: int) -> str:
    """Name the n-th port or accelerator request that a request makes for an instance."""
    return uuid_of(f"{instance_id}/{kind}/{identity}/{n}")
