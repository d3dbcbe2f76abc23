"""The world and the image store as the laws see them: every change is looked at.

No guest runs twice or is lost, no command takes effect twice; whoever breaks that raises Broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from compute.image_store import Image, ImageKind, ImageStatus, ImageStore
from compute.world import PRESENT, Attached, Half, MemoryWorld, Role
from tests.simulation.laws import Broken

#: Halves that have the disks of a guest.
DISKS: Final = (*PRESENT, Role.COPIED, Role.KEPT, Role.LEAVING, Role.LEFT)

#: Commands that leave nothing of what a host has of a guest, or of an image of it.
CLEARING_UP: Final = (
    *("DestroyGuest", "ReleaseDestination", "RollbackDestination"),
    *("ConfirmResize", "DeleteImage"),
)


class WatchedImages:
    """The images and their law: what is all that is left of a guest is not deleted."""

    def __init__(self, images: ImageStore, deleted: Callable[[Image], None]) -> None:
        self._images = images
        self._deleted = deleted

    def get(self, image_id: str) -> Image | None:
        return self._images.get(image_id)

    def all(self) -> list[Image]:
        return self._images.all()

    def put(self, image: Image) -> None:
        self._images.put(image)

    def delete(self, image_id: str) -> None:
        image = self._images.get(image_id)
        self._images.delete(image_id)
        if image is not None:
            self._deleted(image)


class WatchedWorld:
    """The world and its laws: no guest runs twice or is lost, no command takes effect twice."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._world = MemoryWorld()
        self.images: ImageStore = WatchedImages(self._world.images, self._image_deleted)
        self._hosts = hosts
        #: Says whether nothing need be left of an instance.
        self.may_vanish: Callable[[str], bool] = lambda _: True
        #: Guests that a fence cut off from disks and net where they are: (host, instance).
        self._isolated: set[tuple[str, str]] = set()
        #: Hears of each command that is begun.
        self.looked_up: Callable[[str], None] = lambda _: None

    def half(self, host: str, instance_id: str) -> Half | None:
        return self._world.half(host, instance_id)

    def halves_of(self, host: str) -> list[Half]:
        return self._world.halves_of(host)

    def attached(self, host: str, instance_id: str) -> Attached | None:
        return self._world.attached(host, instance_id)

    def attached_by(self, host: str) -> list[Attached]:
        return self._world.attached_by(host)

    def attach(self, after: Attached) -> None:
        self._world.attach(after)

    def change(self, *after: Half, gone: Sequence[Half] = ()) -> None:
        self._world.change(*after, gone=gone)
        self._isolated -= {(half.host, half.instance_id) for half in gone}
        for half in gone:
            if half.role in DISKS and not self._is_left(half.instance_id):
                self._lost(half)
        running = self._world.running() if after else {}
        for half in after:
            uuid = half.instance_id
            hosts = [h for h in running.get(uuid, ()) if (h, uuid) not in self._isolated]
            if len(hosts) > 1:
                raise Broken(f"I1: {uuid} runs on {', '.join(hosts)}")

    def isolate(self, host: str) -> None:
        """Have what runs on a host do no harm elsewhere, as a fence does that leaves it on."""
        self._isolated |= {(host, half.instance_id) for half in self.halves_of(host)}

    def rejoin(self, host: str, here: set[str]) -> None:
        """Have the guests count again that are at home on a host that is not fenced any more."""
        self._isolated -= {(host, uuid) for uuid in here}

    def begun(self, command: str, host: str, uuid: str) -> None:
        """See that nothing is begun for a guest that runs elsewhere but its destruction.

        A destination of a move that is undone leaves nothing by a command of its own. A resize is
        confirmed at its source by the destruction of what that kept, and the image that nobody will
        use is no part of the guest.
        """
        elsewhere = [h for h in self.running().get(uuid, ()) if h != host]
        is_fenced = (host, uuid) in self._isolated
        if is_fenced and elsewhere and command not in CLEARING_UP:
            raise Broken(f"I17: {command} of {uuid} was begun on {host}, which had been fenced")

    def _is_left(self, instance_id: str) -> bool:
        """Say whether there is a guest, or one that is made anew: nobody wants the old one."""
        halves = [self._world.half(host, instance_id) for host in self._hosts]
        return any(half and (half.role in DISKS or half.remade_by) for half in halves) or any(
            is_kept(image) and image.instance_id == instance_id for image in self.images.all()
        )

    def _image_deleted(self, image: Image) -> None:
        if is_kept(image) and not self._is_left(image.instance_id):
            self._lost(image)

    def _lost(self, left: Half | Image) -> None:
        if not self.may_vanish(left.instance_id):
            raise Broken(f"S2: {left} was the last of a guest that nobody deletes")

    def executed(self, command_id: str) -> None:
        self.looked_up(command_id)
        self._world.executed(command_id)
        if self._world.executions()[command_id] > 1:
            raise Broken(f"I8: command {command_id} took effect twice")

    def executions(self) -> dict[str, int]:
        return self._world.executions()

    def running(self) -> dict[str, tuple[str, ...]]:
        return self._world.running()


def is_kept(image: Image) -> bool:
    """Say whether a guest can be made again from an image."""
    return image.kind is ImageKind.SHELVED and image.status is ImageStatus.ACTIVE
