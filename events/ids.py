"""Names of things, each with its own type, and the ids that are functions of the log.

Nothing here draws a random number: the same history gives the same ids, so that a restored
database issues its commands again under the ids that the hosts already know.
"""

from __future__ import annotations

from typing import Final, NewType
from uuid import NAMESPACE_URL, uuid5

InstanceId = NewType("InstanceId", str)
HostName = NewType("HostName", str)
RequestId = NewType("RequestId", str)
SagaId = NewType("SagaId", str)
CommandId = NewType("CommandId", str)

#: The namespace of every id that Regente derives.
NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:regente")

#: Positions leave room for this many rows of one kind that one record may cause.
IDS_PER_RECORD: Final = 16


def saga_id(instance_id: InstanceId, saga: str, identity: str) -> SagaId:
    """Name the saga that the fact with `identity` starts for an instance."""
    return SagaId(str(uuid5(NAMESPACE, f"{instance_id}/{saga}/{identity}")))


def command_id(saga: SagaId, step: str, attempt: int, command: str, host: str) -> CommandId:
    """Name one command of one attempt of one step, addressed to one host."""
    return CommandId(str(uuid5(NAMESPACE, f"{saga}/{step}/{attempt}/{command}/{host}")))


def resend_id(instance_id: InstanceId, source: str, generation: int, missing: int) -> CommandId:
    """Name the command by which a writer is asked for its facts from a number on."""
    return CommandId(str(uuid5(NAMESPACE, f"{instance_id}/resend/{source}/{generation}/{missing}")))


def elapsed_id(instance_id: InstanceId, action: str, since: int) -> RequestId:
    """Name the request that nobody made: an action whose time came by itself."""
    return RequestId(f"req-{uuid5(NAMESPACE, f'{instance_id}/elapsed/{action}/{since}')}")


def image_id(saga: SagaId) -> str:
    """Name the image that a saga makes: nobody else's, whatever the request says."""
    return str(uuid5(NAMESPACE, f"{saga}/image"))


def row_id(*, offset: int, partitions: int, partition: int, n: int) -> int:
    """Number the n-th row that the record at a position causes; unique within a topic."""
    assert 0 <= n < IDS_PER_RECORD, f"Expected at most {IDS_PER_RECORD} rows a record, but {n=}"
    return (offset * partitions + partition) * IDS_PER_RECORD + n


def part_id(instance_id: InstanceId, kind: str, identity: str, n: int) -> str:
    """Name the n-th port or accelerator request that a request makes for an instance."""
    return str(uuid5(NAMESPACE, f"{instance_id}/{kind}/{identity}/{n}"))
