"""What a host says of the guests that it finds: the power state, and in which boot it looked."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events.values import replace
from statemachines.effects.effect import Effect
from statemachines.held import Boot, SagaState
from statemachines.run import Run


def _looked(run: Run, _saga: SagaState | None) -> None:
    """The owner looked; what power state it saw is noted with every fact that has one."""
    envelope = run.envelope
    if envelope.host is None or envelope.host != run.held.host:
        return
    boot = Boot(
        host=envelope.host,
        enrolment=envelope.enrolment,
        boot_epoch=envelope.meta.boot_epoch,
        sequence=0,
    )
    if run.held.seen_in != boot:
        run.held = replace(run.held, seen_in=boot)


def _absent(run: Run, saga: SagaState | None) -> None:
    if run.envelope.host == run.held.host and run.held.power_state != 0:
        run.held = replace(run.held, power_state=0)
    _looked(run, saga)


EFFECTS: Final[Mapping[str, Effect]] = MappingProxyType(
    {
        "GuestFound": _looked,
        "GuestSeen": _looked,
        "GuestAbsent": _absent,
        "GuestMissed": _absent,
    }
)
