"""Every fact and every command there is, by name: the table of contents of the log.

A class that is not here can't be read from a log and can't be written to one.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Final

from events import (
    attachments,
    commands,
    control,
    decisions,
    evacuation,
    facts_nova,
    images,
    instance,
    migration,
    node,
    requests,
    standby,
    start_up,
    upkeep,
)


def _classes(*modules: ModuleType) -> dict[str, type]:
    return {
        name: cls
        for module in modules
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__
    }


#: Values that stand inside facts and are no facts themselves.
PARTS: Final = frozenset({"Flavor", "NovaFlavor"})

#: Facts that go to the node topic.
NODE_FACTS: Final[Mapping[str, type]] = MappingProxyType(_classes(node))
#: Records that go to every partition under the key `control`.
CONTROL_FACTS: Final[Mapping[str, type]] = MappingProxyType(_classes(control))
#: Everything that may be said in an event topic.
FACTS: Final[Mapping[str, type]] = MappingProxyType(
    {
        name: cls
        for name, cls in _classes(
            requests,
            decisions,
            control,
            node,
            instance,
            images,
            migration,
            standby,
            upkeep,
            evacuation,
            start_up,
            attachments,
            facts_nova,
        ).items()
        if name not in PARTS
    }
)
#: Everything that may be asked of a host, or of the scheduler.
COMMANDS: Final[Mapping[str, type]] = MappingProxyType(
    {name: cls for name, cls in _classes(*commands.MODULES).items() if name not in PARTS}
)


def schema_file(name: str, version: int) -> str:
    """Name the file of a fact's or command's schema: `GuestBuilt` is `guest_built.v1.avsc`."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
    return f"{snake}.v{version}.avsc"
