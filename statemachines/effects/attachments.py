"""Where volumes are attached and ports and accelerators bound: as hosts say, and as follows.

A host that says that it has nothing left of the guest has nothing attached or bound either, also
where it was restarted in the middle and does not know any more what it let go of.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from events import attachments
from statemachines.attachments import bound, left_over, let_go, together, unbound, without
from statemachines.effects.effect import Effect
from statemachines.held import SagaState
from statemachines.run import Run
from statemachines.states import VmState
from statemachines.values import replace

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
    run.held = left_over(held) if held.vm_state == VmState.DELETED else held


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


def _port_bound(run: Run, _saga: SagaState | None) -> None:
    fact = cast("attachments.PortBound", run.envelope.fact)
    host = run.envelope.host
    assert host is not None
    ports = tuple(
        bound(p, host, active=fact.active) if p.port.port_id == fact.port_id else p
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


EFFECTS: Final[Mapping[str, Effect]] = MappingProxyType(
    {
        "VolumeAttached": _volume_attached,
        "VolumeDetached": _volume_detached,
        "PortBound": _port_bound,
        "PortUnbound": _port_unbound,
        "AcceleratorBound": _accelerator_bound,
        "AcceleratorUnbound": _accelerator_unbound,
    }
)
