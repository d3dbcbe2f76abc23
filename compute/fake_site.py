"""What an operation of the fake driver works with: its host, the world, and what goes wrong where.

Nothing is drawn and nothing waits: the same polls and the same failures give the same facts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from compute.endings import ENDINGS
from compute.hypervisor import PowerState
from compute.world import PRESENT, Half, Role, World
from events import commands as c
from events.requests import Flavor


class FailureKind(StrEnum):
    """What goes wrong at a call."""

    #: The ordinary failure of the command: a build is re-scheduled, a resize can't be vouched for.
    FAIL = "fail"
    #: A build fails as it would on any host.
    ABORT = "abort"
    #: A resize fails and leaves the guest as it was.
    FAULT_ROLLBACK = "fault-rollback"
    #: A reboot fails and the guest runs on.
    IGNORE = "ignore"
    #: A live migration switches to post-copy by itself.
    POST_COPY = "post-copy"
    #: Nothing goes wrong; it only takes longer.
    DELAY = "delay"


class Failure(Struct, frozen=True, kw_only=True, gc=False):
    """A call that goes wrong, after so many polls."""

    kind: FailureKind = FailureKind.FAIL
    reason: str = "the driver was told to fail"
    delay_polls: int = 0


#: (host, call, instance) → what goes wrong there. Calls are the names in `CALLS`.
Faults = Callable[[str, str, str], Failure | None]


@dataclass(slots=True)
class Steering:
    """What was asked of a live migration while it runs."""

    is_aborted: bool = False
    is_forced: bool = False
    #: Behind the point of no return: it can't be cancelled any more.
    is_final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What an operation may touch."""

    host: str
    world: World
    faults: Faults
    copy_polls: int
    permits_post_copy: bool
    #: Is a disk copied before its upload begins, as libvirt does it?
    copies_before_upload: bool = True


Said = tuple[object, ...]
Operation = Generator[Said, None, None]
Check = Generator[Said, None, Failure | None]


def failed(
    command: object, half: Half | None, reason: str, kind: FailureKind = FailureKind.FAIL
) -> object:
    """Return the fact that says how a command failed."""
    endings = ENDINGS[type(command)]
    is_second = kind in (FailureKind.ABORT, FailureKind.FAULT_ROLLBACK)
    if isinstance(command, c.RebootGuest):
        is_second = kind is not FailureKind.IGNORE
    if isinstance(command, c.UnrescueGuest):
        is_second = False  # Who rescued it can undo that, and says so where it fails.
    fact = endings[2] if is_second and len(endings) > 2 else endings[1]
    if "power_state" in fact.__struct_fields__:  # type: ignore[attr-defined]  # a Struct
        return fact(power_state=power_of(half), reason=reason)
    return fact(reason=reason)


def power_of(half: Half | None) -> PowerState:
    """Return the power state of the guest that a half is; none where it is no guest (any more)."""
    return half.power_state if half and half.role in PRESENT else PowerState.NOSTATE


def half_of(site: Site, instance_id: str) -> Half | None:
    """Return what the site's host has of an instance."""
    return site.world.half(site.host, instance_id)


def check(site: Site, instance_id: str, command: object, stage: str = "") -> Check:
    """Poll as long as a delay lasts; return what goes wrong at this call, if anything does."""
    failure = site.faults(site.host, type(command).__name__ + stage, instance_id)
    if failure is None:
        return None
    for _ in range(failure.delay_polls):
        yield ()
    return None if failure.kind is FailureKind.DELAY else failure


def claimed(site: Site, instance_id: str, command: object) -> Check:
    """Return why the site's host can't take an instance on; None where it may be built there."""
    failure = yield from check(site, instance_id, command, ".claim")
    half = half_of(site, instance_id)
    if failure is None and half and half.role is not Role.BUILDING:
        return Failure(reason=f"there is something of it on {site.host} already")
    return failure


def being_built(site: Site, instance_id: str, flavor: Flavor, *, remade_by: str = "") -> Half:
    """Leave a half that is being built on the site's host, whatever there was of the instance."""
    half = Half(
        host=site.host,
        instance_id=instance_id,
        role=Role.BUILDING,
        power_state=PowerState.NOSTATE,
        flavor=flavor,
        remade_by=remade_by,
    )
    site.world.change(half)
    return half
