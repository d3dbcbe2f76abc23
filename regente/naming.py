"""Which instance is meant: by its uuid, or by a name that one instance has."""

from __future__ import annotations

from uuid import UUID

from projections.rows import InstanceRow
from projections.views import Views


class UnknownThing(Exception):
    """What was named is not known, or not one thing."""


def instance_meant(views: Views, name: str) -> InstanceRow | None:
    """Return the instance of that uuid, else the one of that name; None for a uuid without rows.

    Raises UnknownThing where nobody has the name, or more than one: what is asked for is done to
    one instance, and which is not for us to guess.
    """
    if (row := views.instance(name)) is not None and row.uuid == name:
        return row
    if is_uuid(name):
        return None
    found = views.instances(name=name)
    if not found:
        raise UnknownThing(
            f"Expected an instance with uuid or name {name}, but there is none:"
            " `regente instance list` shows them."
        )
    if len(found) > 1:
        uuids = ", ".join(each.uuid for each in found)
        raise UnknownThing(
            f"Expected one instance of the name {name}, but there are {len(found)}: {uuids}."
        )
    return found[0]


def is_uuid(name: str) -> bool:
    """Say whether a name is a uuid, written as we write them."""
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
