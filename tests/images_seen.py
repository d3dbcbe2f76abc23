"""What a story shows of images, and of where its guest is."""

from __future__ import annotations

from events.ids import SagaId, image_id
from tests.answers import argument
from tests.hosts import World


def the_image(world: World) -> str:
    """Return the id of the image that the primary saga makes."""
    return image_id(SagaId(world.saga.saga_id))


def deletions(world: World) -> list[object]:
    """Return the ids of the images that hosts are asked to delete."""
    return [
        argument(x, "image_id") for x in world.letters if type(x.command).__name__ == "DeleteImage"
    ]


def place(world: World) -> list[str | None]:
    """Return the host and the node that the instance is on."""
    return [world.here.host, world.here.node]


def claims(world: World) -> list[str]:
    """Return the hosts on which the instance takes room."""
    return [c.host for c in world.here.claims]
