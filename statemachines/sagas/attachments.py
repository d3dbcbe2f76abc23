"""Attach, detach and swap what a guest holds: small sagas beside the primary one.

Nova leaves the task_state alone, so a resize or a live migration may begin meanwhile. Then the host
either had carried the command out before it heard of the newer operation, or refuses it: both are
said before that operation asks another host to take hold. What comes later than that is undone
(an attach) or goes on (a detach), for the other host was not told of it.

A host that is lost may have done it or not. What may be attached there without belonging to the
guest is a debt of that host: the user's action ends, and a small saga waits until it is back.
"""

from __future__ import annotations

from typing import Final

from statemachines.saga import (
    GOES_BACK,
    Again,
    Choice,
    End,
    Ending,
    Next,
    Role,
    Saga,
    Step,
    To,
    saga,
)
from statemachines.sagas.owed import owed


def _debt(name: str, ask: tuple[str, str, str]) -> Saga:
    """Return the table of what a host owes that was lost: to let one thing go."""
    detach, detached, failed = ask
    return owed(
        name,
        detach,
        paid=detached,
        failed={failed: Again()},
        resolved=Ending(name="resolved", ok=False, fault=None),
        of_guest=True,
    )


def _table(
    name: str, steps: tuple[Step, ...], endings: tuple[Ending, ...], *, first: Next, lone: bool
) -> Saga:
    return saga(
        name=name,
        primary=False,
        of_guest=True,
        without_host=lone,
        first=first,
        steps=steps,
        endings=(*endings, Ending(name="failed", ok=False), Ending(name="resolved", ok=False)),
    )


def _attach(
    name: str, ask: tuple[str, str, str], undo: tuple[str, str, str], *, debt: str, event: str
) -> Saga:
    """Return the table of an attach; `ask` and `undo` are a command, its success, its failure."""
    (attach, attached, failed), (detach, detached, not_detached) = ask, undo
    undone = To("undo", outcome="failed")
    steps = (
        Step(
            name="ask",
            command=attach,
            to=Role.TARGET,
            on={
                attached: Choice("undisturbed", End("attached"), undone),
                failed: End("failed"),
                # It may have begun: only the host can say that nothing is left of it.
                "CommandRefused": undone,
                "StepTimedOut": Choice("undisturbed", Again(), undone),
                "StepHostLost": End("lost", beside=debt),
            },
            exhausted=undone,
            compensate=undone,
            action_events=(event,),
            deadline="long_rpc_timeout",
            retries=1,
        ),
        Step(
            name="undo",
            command=detach,
            to=Role.TARGET,
            on={
                detached: End(),
                not_detached: Again(),
                "CommandRefused": Again(),
                "StepHostLost": End("lost", beside=debt),
            },
            exhausted=End("lost", beside=debt),
            no_way_back=GOES_BACK,
            deadline="long_rpc_timeout",
            retries=3,
        ),
    )
    first = Choice("on_a_host", To("ask"), End("attached"))
    endings = (Ending(name="attached", ok=True), Ending(name="lost", ok=False))
    return _table(name, steps, endings, first=first, lone=True)


def _detach(name: str, ask: tuple[str, str, str], *, debt: str, event: str) -> Saga:
    detach, detached, failed = ask
    steps = (
        Step(
            name="ask",
            command=detach,
            to=Role.TARGET,
            on={
                detached: End("detached"),
                # Where the guest went on without it, it has to go here too.
                failed: Choice("undisturbed", End("failed"), Again()),
                "CommandRefused": Again(),
                # It is gone for the guest, and goes from the host as soon as that is back.
                "StepHostLost": End("owed", beside=debt),
            },
            exhausted=End("owed", beside=debt),
            no_way_back="it is gone for the guest: attach it again",
            action_events=(event,),
            deadline="long_rpc_timeout",
            retries=3,
        ),
    )
    first = Choice("on_a_host", To("ask"), End("detached"))
    endings = (Ending(name="detached", ok=True), Ending(name="owed", ok=True))
    return _table(name, steps, endings, first=first, lone=True)


def _change(name: str, ask: tuple[str, str, str], event: str | None, done: str) -> Saga:
    """Return the table of a change of what the guest holds: made, or not made, in one step."""
    command, changed, failed = ask
    steps = (
        Step(
            name="ask",
            command=command,
            to=Role.TARGET,
            on={
                changed: Choice("undisturbed", End(done), End("failed")),
                failed: End("failed"),
                "CommandRefused": Choice("undisturbed", Again(), End("failed")),
                # If it was made all the same, the host says so when it is back, and is believed.
                "StepHostLost": End("failed"),
            },
            exhausted=End("failed"),
            compensate=End("failed"),
            action_events=() if event is None else (event,),
            deadline="long_rpc_timeout",
            retries=3,
        ),
    )
    return _table(name, steps, (Ending(name=done, ok=True),), first=To("ask"), lone=False)


_ATTACH_VOLUME: Final = ("AttachVolume", "VolumeAttached", "VolumeAttachFailed")
_DETACH_VOLUME: Final = ("DetachVolume", "VolumeDetached", "VolumeDetachFailed")
_BIND_PORT: Final = ("AttachInterface", "PortBound", "InterfaceAttachFailed")
_UNBIND_PORT: Final = ("DetachInterface", "PortUnbound", "InterfaceDetachFailed")

VOLUME_DEBT = _debt("volume_debt", _DETACH_VOLUME)
PORT_DEBT = _debt("port_debt", _UNBIND_PORT)
ATTACH_VOLUME = _attach(
    "attach_volume",
    _ATTACH_VOLUME,
    _DETACH_VOLUME,
    debt="volume_debt",
    event="compute_attach_volume",
)
DETACH_VOLUME = _detach(
    "detach_volume", _DETACH_VOLUME, debt="volume_debt", event="compute_detach_volume"
)
SWAP_VOLUME = _change(
    "swap_volume",
    ("SwapVolume", "VolumeSwapped", "VolumeSwapFailed"),
    "compute_swap_volume",
    "swapped",
)
ATTACH_INTERFACE = _attach(
    "attach_interface",
    _BIND_PORT,
    _UNBIND_PORT,
    debt="port_debt",
    event="compute_attach_interface",
)
DETACH_INTERFACE = _detach(
    "detach_interface", _UNBIND_PORT, debt="port_debt", event="compute_detach_interface"
)
#: Nova records no event of what is only the network service's business.
ADD_FIXED_IP = _change(
    "add_fixed_ip", ("AddFixedIp", "FixedIpAdded", "FixedIpAddFailed"), None, "added"
)
REMOVE_FIXED_IP = _change(
    "remove_fixed_ip", ("RemoveFixedIp", "FixedIpRemoved", "FixedIpRemoveFailed"), None, "removed"
)
INJECT_NETWORK_INFO = _change(
    "inject_network_info",
    ("InjectNetworkInfo", "NetworkInfoInjected", "NetworkInfoInjectFailed"),
    None,
    "injected",
)
#: By the name of their action.
ACTIONS: Final = (
    ATTACH_VOLUME,
    DETACH_VOLUME,
    SWAP_VOLUME,
    ATTACH_INTERFACE,
    DETACH_INTERFACE,
    ADD_FIXED_IP,
    REMOVE_FIXED_IP,
    INJECT_NETWORK_INFO,
)
DEBTS: Final = (VOLUME_DEBT, PORT_DEBT)
