"""A hypervisor in this process: deterministic, and breakable at every call.

It stands for one host of a `World` that it shares with the drivers of the others. What it is doing
dies with it; what it did stays in the world. So a crash of an agent is: throw this object away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute.endings import is_ending
from compute.fake_operations import operation_of
from compute.fake_outcomes import outcome
from compute.fake_site import Faults, Operation, Site, Steering
from compute.hypervisor import Capacity, Guest, Report
from compute.inbox import purpose_of
from compute.world import PRESENT, Half, Role, World
from events.commands import AbortLiveMigration, ForceCompleteLiveMigration, LiveMigrateGuest
from events.envelope import Letter
from events.instance import GuestAbsent, PowerStateReported
from events.migration import (
    AbortFailed,
    AbortTaken,
    ForceCompleteFailed,
    ForceCompleteTaken,
    GuestArrived,
)

_NOTHING_TO_STEER: Final = "no live migration of this guest runs, or it can't be stopped any more"


@dataclass(slots=True)
class _Running:
    letter: Letter[object]
    steps: Operation
    steering: Steering


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """How big a fake host is, and how it migrates."""

    vcpus: int = 64
    memory_mb: int = 262_144
    disk_gb: int = 4_096
    #: Polls that the copy of a guest's memory takes.
    copy_polls: int = 3
    #: Does force-complete switch to post-copy, or freeze the guest?
    permits_post_copy: bool = True
    #: Is a disk copied before its upload begins, as libvirt does it?
    copies_before_upload: bool = True


def no_faults(host: str, call: str, instance_id: str) -> None:
    """Let every call succeed."""


class FakeDriver:
    """The hypervisor of one host."""

    def __init__(
        self,
        *,
        host: str,
        world: World,
        faults: Faults = no_faults,
        options: FakeOptions | None = None,
    ) -> None:
        self._host = host
        self._world = world
        self.options = options or FakeOptions()
        self._site = Site(
            host=host,
            world=world,
            faults=faults,
            copy_polls=self.options.copy_polls,
            permits_post_copy=self.options.permits_post_copy,
            copies_before_upload=self.options.copies_before_upload,
        )
        self._operations: dict[str, _Running] = {}
        self._steered: list[Report] = []
        self._seen = self._present()

    def capacity(self) -> Capacity:
        """Return what the host has to give."""
        size = self.options
        return Capacity(self._host, "fake", size.vcpus, size.memory_mb, size.disk_gb)

    def guests(self) -> tuple[Guest, ...]:
        """Return every guest on this host, by instance id."""
        present = self._present().values()
        return tuple(Guest(half.instance_id, half.power_state) for half in present)

    def begin(self, letter: Letter[object]) -> None:
        """Start carrying a command out."""
        command_id = letter.address.command_id
        assert command_id not in self._operations, f"Expected {command_id} once, but it runs"
        self._world.executed(command_id)
        if isinstance(letter.command, AbortLiveMigration | ForceCompleteLiveMigration):
            self._steered.append(self._steer(letter))
            return
        steering = Steering()
        steps = operation_of(self._site, letter, steering)
        self._operations[command_id] = _Running(letter, steps, steering)

    def poll(self) -> list[Report]:
        """Let every operation come one step further and return what there is to say."""
        reports = self._look_around()
        reports += self._steered
        self._steered = []
        for command_id, running in tuple(self._operations.items()):
            instance_id = running.letter.address.instance_id
            said = next(running.steps)
            reports += [_report(instance_id, fact, command_id) for fact in said]
            if said and is_ending(running.letter.command, said[-1]):
                del self._operations[command_id]
            self._note_own_doing(instance_id)
        return reports

    def cancel(self, command_id: str) -> bool:
        """Stop an operation where it stands; False where it can't be stopped."""
        running = self._operations.get(command_id)
        if running is None or running.steering.is_final:
            return False
        running.steps.close()
        del self._operations[command_id]
        return True

    def outcome_of(self, letter: Letter[object]) -> tuple[object, ...]:
        """Say what became of a command that had begun; nothing where it still runs."""
        address = letter.address
        for command_id, running in tuple(self._operations.items()):
            # Another saga may ask the same of the same guest: that is not what was begun here.
            if purpose_of(running.letter) == purpose_of(letter):
                self._operations[address.command_id] = self._operations.pop(command_id)
                return ()
        return outcome(self._world, self._host, letter)

    def _steer(self, letter: Letter[object]) -> Report:
        instance_id, command_id = letter.address.instance_id, letter.address.command_id
        running = next(
            (
                each
                for each in self._operations.values()
                if isinstance(each.letter.command, LiveMigrateGuest)
                and each.letter.address.instance_id == instance_id
                and not each.steering.is_final
            ),
            None,
        )
        fact: object
        if isinstance(letter.command, AbortLiveMigration):
            fact = AbortTaken() if running else AbortFailed(reason=_NOTHING_TO_STEER)
            if running:
                running.steering.is_aborted = True
        else:
            fact = (
                ForceCompleteTaken() if running else ForceCompleteFailed(reason=_NOTHING_TO_STEER)
            )
            if running:
                running.steering.is_forced = True
        return Report(instance_id, fact, command_id)

    def _look_around(self) -> list[Report]:
        """Say what happened to guests that no operation of ours did."""
        now = self._present()
        reports = []
        for instance_id in sorted(self._seen.keys() | now.keys()):
            before, after = self._seen.get(instance_id), now.get(instance_id)
            if fact := _difference(before, after):
                reports.append(Report(instance_id, fact, None))
        self._seen = now
        return reports

    def _note_own_doing(self, instance_id: str) -> None:
        half = self._world.half(self._host, instance_id)
        if half and half.role in PRESENT:
            self._seen[instance_id] = half
        else:
            self._seen.pop(instance_id, None)

    def _present(self) -> dict[str, Half]:
        return {h.instance_id: h for h in self._world.halves_of(self._host) if h.role in PRESENT}


def _report(instance_id: str, fact: object, command_id: str) -> Report:
    """Return what is said in the course of a command; what the guest is answers none."""
    return Report(instance_id, fact, None if isinstance(fact, PowerStateReported) else command_id)


def _difference(before: Half | None, after: Half | None) -> object | None:
    if after is None:
        return GuestAbsent() if before else None
    if before is None:
        return GuestArrived(power_state=after.power_state) if after.role is Role.ARRIVED else None
    if before.power_state is after.power_state:
        return None
    return PowerStateReported(power_state=after.power_state)
