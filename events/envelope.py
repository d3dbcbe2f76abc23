"""A fact or a command together with who said it, in which order, and why.

`Meta` and `Address` travel inside the Avro body; `Envelope` and `Letter` are what the codec makes
of a record of the log. Nothing here knows bytes; order is the log's, never a writer's clock's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Generic, TypeVar

from msgspec import Struct

from events.log import Record

Payload = TypeVar("Payload", covariant=True)

#: Sources that never leave the control plane; every other source is `compute/<host>`.
API = "api"
CONDUCTOR = "conductor"
NOVA = "nova"
COMPUTE = "compute/"


@lru_cache(maxsize=65_536)
def host_in(source: str) -> str | None:
    """Return the compute host that a source names; None for one of the control plane."""
    return source[len(COMPUTE) :] if source.startswith(COMPUTE) else None


class Meta(Struct, frozen=True, kw_only=True, gc=False):
    """Who says a fact about which instance (or, in the node topic, which host), and its number."""

    #: `compute/<host>`, `api`, `conductor` or `nova`.
    source: str
    #: How often the writer has started; a lost journal starts again above its enrolment.
    boot_epoch: int = 0
    #: Number within (source, instance), from 1, without gaps; 0 where identity is deterministic.
    sequence: int = 0
    #: The instance; the host in a fact of the node topic; empty in a control record.
    instance_id: str
    #: The highest generation of the instance that the writer was told.
    generation: int = 0
    #: The command that this fact answers.
    command_id: str | None = None
    #: `req-…`: the request in whose course this happened.
    request_id: str | None = None
    #: µs UTC on the writer's clock: data, never order.
    occurred_at: int


class Envelope(Struct, Generic[Payload], frozen=True, gc=False):
    """An authentic fact at its position of the log."""

    fact: Payload
    meta: Meta
    #: The compute host that speaks, as `meta.source` says; None where the control plane does.
    host: str | None
    #: The record as the log gave it.
    record: Record
    #: SHA-256 of the value: what the writer's next fact names as `prev`.
    digest: bytes
    #: What the writer named as the hash of its previous fact; empty with sequence 0.
    prev: bytes
    #: Number of the enrolment whose key made the MAC.
    enrolment: int

    @property
    def topic(self) -> str:
        """Topic of the record."""
        return self.record.topic

    @property
    def partition(self) -> int:
        """Partition of the record."""
        return self.record.partition

    @property
    def offset(self) -> int:
        """Offset of the record."""
        return self.record.offset

    @property
    def timestamp_us(self) -> int:
        """When the log appended the record, µs UTC."""
        return self.record.timestamp_us


class Address(Struct, frozen=True, kw_only=True, gc=False):
    """To whom a command goes, and the place in a saga that it comes from."""

    command_id: str
    saga_id: str
    saga: str
    step: str
    attempt: int
    instance_id: str
    generation: int
    host: str
    request_id: str | None = None


class Letter(Struct, Generic[Payload], frozen=True, gc=False):
    """A command with its address."""

    command: Payload
    address: Address
