"""The image service that fake drivers share: what there is of every image, complete or not.

So it can be seen whether anything was left behind. Snapshots of single volumes, which the volume
service keeps, stand here too.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class ImageKind(StrEnum):
    """What an image is of."""

    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    SHELVED = "shelved"
    #: Snapshots of all volumes of a guest, as one image.
    VOLUMES = "volumes"
    #: A snapshot of one volume.
    VOLUME = "volume"


class ImageStatus(StrEnum):
    """How far an image is, in the words of the image service."""

    SAVING = "saving"
    ACTIVE = "active"


class Image(Struct, frozen=True, kw_only=True, gc=False):
    """What there is of an image."""

    image_id: str
    instance_id: str
    #: The host that makes, or made, it.
    host: str
    kind: ImageKind
    status: ImageStatus
    #: Of a backup: which of its instance's rotations it belongs to.
    backup_type: str = ""


class ImageStore(Protocol):
    """Every image, whichever host made it."""

    def get(self, image_id: str) -> Image | None:
        """Return what there is of an image."""
        ...

    def all(self) -> list[Image]:
        """Return every image, the oldest first."""
        ...

    def put(self, image: Image) -> None:
        """Leave an image as it is here."""
        ...

    def delete(self, image_id: str) -> None:
        """Leave nothing of an image."""
        ...


class MemoryImages:
    """Images that live as long as this object."""

    def __init__(self) -> None:
        self._images: dict[str, Image] = {}

    def get(self, image_id: str) -> Image | None:
        """Return what there is of an image."""
        return self._images.get(image_id)

    def all(self) -> list[Image]:
        """Return every image, the oldest first."""
        return list(self._images.values())

    def put(self, image: Image) -> None:
        """Leave an image as it is here."""
        self._images[image.image_id] = image

    def delete(self, image_id: str) -> None:
        """Leave nothing of an image."""
        self._images.pop(image_id, None)
