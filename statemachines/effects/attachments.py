"""Where volumes are attached and ports and accelerators bound: as hosts say, and as follows.

A host that says that it has nothing left of the guest has nothing attached or bound either, also
where it was restarted in the middle and does not know any more what it let go of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, cast

from events import attachments
from events.values import replace
from statemachines.attachments import (
    FIXED_IPS_MAX,
    activated,
    bound,
    left_over,
    let_go,
    together,
    unbound,
    undisturbed,
    without,
    without_gone,
)
from statemachines.effects.effect import Effect
from statemachines.held import SagaState
from statemachines.run import Run
from statemachines.states import VmState

#: Facts after which the host that says them has nothing attached or bound for the guest, unless
#: the guest is at home there all the same.
LEAVES_NOTHING: Final = frozenset(
    {
        "BuildRescheduled",
        "BuildAborted",
        "EvacuationFailed",
        "EvacuationClaimFailed",
        "ResizeMigrated",
        "DestinationReleased",
        "ResizeConfirmed",
        "ResizeReverted",
        "SourceCleanedUp",
        "DestinationRolledBack",
    }
)

#: Facts by which the owner says that the guest runs there: the traffic of its ports goes there,
#: also where another host had it in between and gave it up.
RUNS_HERE: Final = frozenset(
    {
        "GuestStarted",
        "GuestRebooted",
        "GuestRebuilt",
        "GuestUnrescued",
        "GuestResumed",
        "ShelvedGuestStarted",
        "GuestUnshelved",
    }
)


def settle(run: Run, saga: SagaState | None) -> None:
    """Fold what an ending says of all that the guest held at once; after the fact's own effect."""
    held, host = run.held, run.envelope.host
    if host is None:
        return
    if run.name == "GuestDestroyed":
        is_debt = saga is not None and saga.saga == "debt"
        if host != held.host or not is_debt or held.vm_state == VmState.DELETED:
            held = let_go(held, host)
    elif run.name in LEAVES_NOTHING and host != held.host:
        held = let_go(held, host)
    elif run.name in RUNS_HERE and host == held.host:
        held = activated(held, host)
    run.held = left_over(held) if held.vm_state == VmState.DELETED else without_gone(held)


def _volume(run: Run, *, attached: bool) -> None:
    fact = cast("attachments.VolumeAttached | attachments.VolumeDetached", run.envelope.fact)
    host = run.envelope.host
    assert host is not None
    change = together if attached else without
    volumes = tuple(
        replace(v, hosts=change(v.hosts, host)) if v.volume.volume_id == fact.volume_id else v
        for v in run.held.volumes
    )
    run.held = replace(run.held, volumes=volumes)


def _volume_attached(run: Run, _saga: SagaState | None) -> None:
    _volume(run, attached=True)


def _volume_detached(run: Run, _saga: SagaState | None) -> None:
    _volume(run, attached=False)


def _volume_swapped(run: Run, _saga: SagaState | None) -> None:
    """The guest has another volume; where it went on with the old one meanwhile, it has that."""
    fact = cast("attachments.VolumeSwapped", run.envelope.fact)
    held, host = run.held, run.envelope.host
    assert host is not None
    if undisturbed(held, host):
        volumes = tuple(
            replace(v, volume=replace(v.volume, volume_id=fact.new_volume_id), hosts=(host,))
            if v.volume.volume_id == fact.old_volume_id
            else v
            for v in held.volumes
        )
        run.held = replace(held, volumes=volumes)


def _port_bound(run: Run, _saga: SagaState | None) -> None:
    fact = cast("attachments.PortBound", run.envelope.fact)
    host, meta = run.envelope.host, run.envelope.meta
    assert host is not None
    # Who was superseded said it before others bound the port, however late it comes.
    active = fact.active and (host == run.held.host or meta.generation >= run.held.generation)
    ports = tuple(
        bound(p, host, active=active) if p.port.port_id == fact.port_id else p
        for p in run.held.ports
    )
    run.held = replace(run.held, ports=ports)


def _port_unbound(run: Run, _saga: SagaState | None) -> None:
    fact = cast("attachments.PortUnbound", run.envelope.fact)
    host = run.envelope.host
    assert host is not None
    ports = tuple(unbound(p, host) if p.port.port_id == fact.port_id else p for p in run.held.ports)
    run.held = replace(run.held, ports=ports)


def _accelerator(run: Run, *, is_bound: bool) -> None:
    fact = cast("attachments.AcceleratorBound | attachments.AcceleratorUnbound", run.envelope.fact)
    host = run.envelope.host
    assert host is not None
    change = together if is_bound else without
    accelerators = tuple(
        replace(a, hosts=change(a.hosts, host))
        if a.accelerator.accelerator_id == fact.accelerator_id
        else a
        for a in run.held.accelerators
    )
    run.held = replace(run.held, accelerators=accelerators)


def _accelerator_bound(run: Run, _saga: SagaState | None) -> None:
    _accelerator(run, is_bound=True)


def _accelerator_unbound(run: Run, _saga: SagaState | None) -> None:
    _accelerator(run, is_bound=False)


def _with_addresses(
    run: Run, port_id: str, change: Callable[[tuple[str, ...]], tuple[str, ...]]
) -> None:
    ports = tuple(
        replace(p, port=replace(p.port, fixed_ips=change(p.port.fixed_ips)))
        if p.port.port_id == port_id
        else p
        for p in run.held.ports
    )
    run.held = replace(run.held, ports=ports)


def _fixed_ip_added(run: Run, _saga: SagaState | None) -> None:
    fact = cast("attachments.FixedIpAdded", run.envelope.fact)
    _with_addresses(
        run,
        fact.port_id,
        lambda known: known if fact.address in known else (*known, fact.address)[-FIXED_IPS_MAX:],
    )


def _fixed_ip_removed(run: Run, _saga: SagaState | None) -> None:
    fact = cast("attachments.FixedIpRemoved", run.envelope.fact)
    _with_addresses(run, fact.port_id, lambda known: tuple(a for a in known if a != fact.address))


EFFECTS: Final[Mapping[str, Effect]] = MappingProxyType(
    {
        "VolumeAttached": _volume_attached,
        "VolumeDetached": _volume_detached,
        "PortBound": _port_bound,
        "PortUnbound": _port_unbound,
        "AcceleratorBound": _accelerator_bound,
        "AcceleratorUnbound": _accelerator_unbound,
        "VolumeSwapped": _volume_swapped,
        "FixedIpAdded": _fixed_ip_added,
        "FixedIpRemoved": _fixed_ip_removed,
    }
)
