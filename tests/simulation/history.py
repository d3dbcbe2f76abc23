"""What was done to an instance, as the rows of its operations say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.rows import InstanceRow, SagaRow

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud


def primary_sagas(cloud: Cloud, row: InstanceRow) -> list[SagaRow]:
    """Return the primary sagas of an instance in their order."""
    sagas = [r for r in cloud.database.rows["sagas"].values() if isinstance(r, SagaRow)]
    mine = [r for r in sagas if r.instance_uuid == row.uuid and r.is_primary]
    return sorted(mine, key=lambda r: r.generation)


def was_reset(cloud: Cloud, row: InstanceRow, *, whatever: tuple[str, ...]) -> bool:
    """Was a reset the last operation that ended well, whatever of these came after it?"""
    about = [r for r in primary_sagas(cloud, row) if r.ok and r.saga not in whatever]
    return bool(about) and about[-1].saga == "reset_state"
