"""The world that fake drivers share: what every host has of every guest, and what truly runs.

A *half* is what one host has of one instance. Drivers change halves only by `change`, all of a
change or nothing of it, so that a guest never runs on two hosts between two lines. The world
outlives agents; it alone judges what runs, and it counts how often each command took effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from compute.hypervisor import PowerState
from compute.image_store import ImageStore, MemoryImages
from events.requests import Flavor
from events.values import replace


class Role(StrEnum):
    """What a half is to its host."""

    #: Being built; never ran.
    BUILDING = "building"
    #: A guest of this host.
    GUEST = "guest"
    #: A guest of this host whose memory is on disk.
    SAVED = "saved"
    #: A guest of this host that was started from a rescue image, its own disk attached.
    RESCUED = "rescued"
    #: Room for a resize that comes.
    CLAIMED = "claimed"
    #: The disks of a resize came.
    COPIED = "copied"
    #: Given away by a resize, kept until it is confirmed or reverted.
    KEPT = "kept"
    #: Waits, paused, for the memory of a live migration.
    INCOMING = "incoming"
    #: Came by a live migration and runs; not yet defined.
    ARRIVED = "arrived"
    #: Post-copy: the other half is the live one.
    LEAVING = "leaving"
    #: What a live migration left behind.
    LEFT = "left"


#: Roles in which a half is a guest that its host vouches for.
PRESENT = (Role.GUEST, Role.ARRIVED, Role.SAVED, Role.RESCUED)


class Half(Struct, frozen=True, kw_only=True, gc=False):
    """What a host has of an instance."""

    host: str
    instance_id: str
    role: Role
    power_state: PowerState
    flavor: Flavor
    #: The command that last made it anew; empty while it is the first.
    remade_by: str = ""
    #: The state that the driver took it out of (powered off for a copy, frozen to let one end).
    resume_to: PowerState | None = None

    def becomes(
        self,
        *,
        role: Role | None = None,
        power_state: PowerState | None = None,
        flavor: Flavor | None = None,
        resume_to: PowerState | None = None,
    ) -> Half:
        """Return the half as it is afterwards; what it shall resume to is said anew each time."""
        return replace(
            self,
            role=role or self.role,
            power_state=self.power_state if power_state is None else power_state,
            flavor=flavor or self.flavor,
            resume_to=resume_to,
        )


class Attached(Struct, frozen=True, kw_only=True, gc=False):
    """What a host has of an instance besides memory and disk, by id, oldest first.

    It does not go with the half: a host that forgets to let go of it has it still.
    """

    host: str
    instance_id: str
    volumes: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    #: Those of the ports whose traffic goes to this host.
    active_ports: tuple[str, ...] = ()
    accelerators: tuple[str, ...] = ()

    @property
    def has_any(self) -> bool:
        """Is anything attached or bound?"""
        return bool(self.volumes or self.ports or self.accelerators)


class World(Protocol):
    """Every host's halves, and the images that were made of guests."""

    @property
    def images(self) -> ImageStore:
        """The images that all hosts share."""
        ...

    def half(self, host: str, instance_id: str) -> Half | None:
        """Return what a host has of an instance."""
        ...

    def halves_of(self, host: str) -> list[Half]:
        """Return what a host has, by instance id."""
        ...

    def change(self, *after: Half, gone: Sequence[Half] = ()) -> None:
        """Leave these halves as they are here, and those gone, at once."""
        ...

    def attached(self, host: str, instance_id: str) -> Attached | None:
        """Return what a host has attached and bound for an instance; None for nothing."""
        ...

    def attached_by(self, host: str) -> list[Attached]:
        """Return what a host has attached and bound for anybody, by instance id."""
        ...

    def attach(self, after: Attached) -> None:
        """Leave this, and nothing else, attached and bound on its host for its instance."""
        ...

    def executed(self, command_id: str) -> None:
        """Count a command that takes effect."""
        ...

    def executions(self) -> dict[str, int]:
        """Return how often each command took effect, by command id."""
        ...

    def running(self) -> dict[str, tuple[str, ...]]:
        """Return the hosts on which each guest runs, by instance id: at most one is right."""
        ...


class MemoryWorld:
    """A world that lives as long as this object."""

    def __init__(self) -> None:
        self.images: ImageStore = MemoryImages()
        self._halves: dict[str, dict[str, Half]] = {}
        self._attached: dict[str, dict[str, Attached]] = {}
        self._executions: dict[str, int] = {}

    def half(self, host: str, instance_id: str) -> Half | None:
        """Return what a host has of an instance."""
        return self._halves.get(host, {}).get(instance_id)

    def halves_of(self, host: str) -> list[Half]:
        """Return what a host has, by instance id."""
        halves = self._halves.get(host, {})
        return [halves[instance_id] for instance_id in sorted(halves)]

    def change(self, *after: Half, gone: Sequence[Half] = ()) -> None:
        """Leave these halves as they are here, and those gone, at once."""
        for half in gone:
            self._halves.get(half.host, {}).pop(half.instance_id, None)
        for half in after:
            self._halves.setdefault(half.host, {})[half.instance_id] = half

    def attached(self, host: str, instance_id: str) -> Attached | None:
        """Return what a host has attached and bound for an instance; None for nothing."""
        return self._attached.get(host, {}).get(instance_id)

    def attached_by(self, host: str) -> list[Attached]:
        """Return what a host has attached and bound for anybody, by instance id."""
        found = self._attached.get(host, {})
        return [found[instance_id] for instance_id in sorted(found)]

    def attach(self, after: Attached) -> None:
        """Leave this, and nothing else, attached and bound on its host for its instance."""
        if after.has_any:
            self._attached.setdefault(after.host, {})[after.instance_id] = after
        else:
            self._attached.get(after.host, {}).pop(after.instance_id, None)

    def executed(self, command_id: str) -> None:
        """Count a command that takes effect."""
        self._executions[command_id] = self._executions.get(command_id, 0) + 1

    def executions(self) -> dict[str, int]:
        """Return how often each command took effect, by command id."""
        return dict(sorted(self._executions.items()))

    def running(self) -> dict[str, tuple[str, ...]]:
        """Return the hosts on which each guest runs, by instance id: at most one is right."""
        return hosts_by_guest(
            half for host in sorted(self._halves) for half in self.halves_of(host)
        )


def hosts_by_guest(halves: Iterable[Half]) -> dict[str, tuple[str, ...]]:
    """Return the hosts of the halves that run, by instance id."""
    found: dict[str, tuple[str, ...]] = {}
    for half in halves:
        if half.power_state is PowerState.RUNNING:
            found[half.instance_id] = (*found.get(half.instance_id, ()), half.host)
    return dict(sorted(found.items()))


def power_failure(world: World, host: str) -> None:
    """Leave nothing running on a host, as a cut of its power would.

    What waited there for a guest's memory is gone: a copy to it fails.
    """
    for half in world.halves_of(host):
        if half.role is Role.INCOMING:
            world.change(gone=[half])
        elif half.power_state in (PowerState.RUNNING, PowerState.PAUSED):
            world.change(half.becomes(power_state=PowerState.SHUTDOWN, resume_to=None))
