"""What must hold of images when a healed cloud has come to rest: none is left over, none is missed.

Each function returns the laws that it found broken, as sentences that begin with the law's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compute.image_store import Image, ImageKind, ImageStatus
from events.ids import SagaId, image_id
from projections.rows import InstanceRow, SagaRow, SagaStepRow

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud


def images_at_rest(cloud: Cloud) -> list[str]:
    """I20: every image is one that somebody was told of; every shelved guest has what it needs."""
    complete = _complete(cloud)
    broken = [
        f"I20: {image} is left over"
        for image in cloud.world.images.all()
        if not _is_wanted(cloud, image, complete)
    ]
    for row in cloud.watch.instances():
        if row.vm_state in ("shelved", "shelved_offloaded"):
            broken += _shelved(cloud, row)
    return broken


def _complete(cloud: Cloud) -> set[str]:
    """Return the ids of the images of which the fold has heard that they are complete."""
    rows = cloud.database.rows
    rotated = {
        row.saga_id
        for row in rows["saga_steps"].values()
        if isinstance(row, SagaStepRow) and row.step == "rotate"
    }
    return {
        image_id(SagaId(row.saga_id))
        for row in rows["sagas"].values()
        if isinstance(row, SagaRow)
        and row.saga in ("snapshot", "snapshot_volume_backed", "backup")
        and (row.ok or row.saga_id in rotated)
    }


def _is_wanted(cloud: Cloud, image: Image, complete: set[str]) -> bool:
    if image.status is not ImageStatus.ACTIVE:
        return False
    match image.kind:
        case ImageKind.VOLUME:
            return True  # The volume service's, which is not here.
        case ImageKind.SHELVED:
            held = cloud.watch.held(image.instance_id)
            return held is not None and held.shelved_image == image.image_id
        case _:
            return image.image_id in complete


def _shelved(cloud: Cloud, row: InstanceRow) -> list[str]:
    held = cloud.watch.held(row.uuid)
    assert held is not None, f"Expected a state of {row.uuid}, but there is none"
    broken = []
    image = cloud.world.images.get(held.shelved_image or "")
    if held.image and (image is None or image.status is not ImageStatus.ACTIVE):
        broken.append(f"I20: {row.uuid} is {row.vm_state}, but its image is {image}")
    if row.vm_state == "shelved_offloaded" and (row.host is not None or held.claims):
        broken.append(f"I20: {row.uuid} is offloaded, but on {row.host} and claims {held.claims}")
    return broken
