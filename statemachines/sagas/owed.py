"""The shape of what a host owes: asked until it is paid, and waited for as long as that takes."""

from __future__ import annotations

from statemachines.saga import OWED, Again, End, Ending, Next, Role, Saga, Step, To, saga

_BACK = ("HostReturned", "GuestFound", "GuestAbsent")


def owed(
    name: str,
    command: str,
    *,
    paid: str,
    failed: dict[str, Next],
    resolved: Ending,
    of_guest: bool = False,
) -> Saga:
    """Return the saga that has a host carry out one command, whenever it is there to do it."""
    return saga(
        name=name,
        primary=False,
        of_guest=of_guest,
        first=To("ask"),
        steps=(
            Step(
                name="ask",
                command=command,
                to=Role.TARGET,
                on={
                    paid: End("paid"),
                    **failed,
                    "CommandRefused": Again(),
                    "StepHostLost": To("owed"),
                },
                exhausted=To("owed"),
                no_way_back=OWED,
                deadline="long_rpc_timeout",
                retries=3,
            ),
            Step(
                name="owed",
                command=None,
                to=Role.TARGET,
                # What it says late it has done, it need not be asked again.
                on={paid: End("paid"), **{fact: To("ask") for fact in _BACK}},
                exhausted=To("ask"),
                no_way_back=OWED,
                deadline="",
                patient=True,
            ),
        ),
        endings=(Ending(name="paid", ok=True), resolved),
    )
