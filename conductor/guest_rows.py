"""What an instance holds, as rows: volumes, interfaces, accelerators, metadata and tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final

from projections.rows import (
    TABLES,
    AcceleratorRow,
    BlockDeviceRow,
    Changes,
    InterfaceRow,
    MetadataRow,
    Row,
    TagRow,
    drop,
    put,
)
from statemachines.held import Held


def guest_rows(changes: Changes, before: Held | None, after: Held) -> None:
    """Leave the rows of what an instance holds, as far as a fact changed them."""
    if before is not None and _ALL_HELD(before) == _ALL_HELD(after):
        return
    for field, table, rows_of in _HELD:
        if before is None:
            if getattr(after, field):
                _leave(changes, table, (), rows_of(after))
        elif getattr(before, field) is not getattr(after, field):
            _leave(changes, table, rows_of(before), rows_of(after))


def _leave(changes: Changes, table: str, before: Sequence[Row], after: Sequence[Row]) -> None:
    width = TABLES[table][1]
    kept = {row[:width] for row in after}
    for gone in before:
        if gone[:width] not in kept:
            drop(changes, table, gone[:width])  # type: ignore[arg-type]  # no key has a null
    for row in after:
        put(changes, table, row)


def _volumes(held: Held) -> list[BlockDeviceRow]:
    return [
        BlockDeviceRow(
            instance_uuid=held.instance_id,
            volume_id=v.volume.volume_id,
            device_name=v.volume.device_name,
            boot_index=v.volume.boot_index,
            source_type="volume",
            destination_type="volume",
            delete_on_termination=int(v.volume.delete_on_termination),
            status=v.status,
            hosts=",".join(v.hosts),
            created_at=v.created_at,
        )
        for v in held.volumes
    ]


def _interfaces(held: Held) -> list[InterfaceRow]:
    return [
        InterfaceRow(
            instance_uuid=held.instance_id,
            uuid=p.port.port_id,
            network_id=p.port.network_id,
            fixed_ips=",".join(p.port.fixed_ips),
            status=p.status,
            hosts=",".join(p.hosts),
            active_host=p.active_host,
            created_at=p.created_at,
        )
        for p in held.ports
    ]


def _accelerators(held: Held) -> list[AcceleratorRow]:
    return [
        AcceleratorRow(
            instance_uuid=held.instance_id,
            uuid=a.accelerator.accelerator_id,
            device_profile=a.accelerator.device_profile,
            hosts=",".join(a.hosts),
            created_at=a.created_at,
        )
        for a in held.accelerators
    ]


def _metadata(held: Held) -> list[MetadataRow]:
    return [MetadataRow(held.instance_id, key, value) for key, value in held.metadata.items()]


def _tags(held: Held) -> list[TagRow]:
    return [TagRow(held.instance_id, tag) for tag in held.tags]


_ALL_HELD: Final = attrgetter("volumes", "ports", "accelerators", "metadata", "tags")
#: Fields of the state that are tables of their own.
_HELD: Final[tuple[tuple[str, str, Callable[[Held], Sequence[Row]]], ...]] = (
    ("volumes", "block_device_mapping", _volumes),
    ("ports", "virtual_interfaces", _interfaces),
    ("accelerators", "accelerators", _accelerators),
    ("metadata", "instance_metadata", _metadata),
    ("tags", "tags", _tags),
)
