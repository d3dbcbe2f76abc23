"""Reset the state by an operator's word, and make sure that nothing of the old operation goes on.

Nova changes the row and nothing else. Here the running saga is superseded and every host that it
commanded hears of the new generation, so that none of its commands is carried out afterwards; a
guest that had left before is at home where it went, and one that had been offloaded before is
shelved_offloaded, whatever was asked for: no host has anything of it. Whoever else has room claimed
cleans up: at once, or where the owner is away as soon as it is back and has its guest.
"""

from __future__ import annotations

from statemachines.saga import Again, Choice, End, Ending, Next, Owe, Role, Step, To, saga


def _heard(owe: Owe | None = None) -> Next:
    return Choice("owner_gave_it_up", End("offloaded", owe=owe), End("reset", owe=owe))


RESET_STATE = saga(
    name="reset_state",
    without_host=True,
    first=Choice("nothing_anywhere", End("reset"), To("fence")),
    steps=(
        Step(
            name="fence",
            command="RaiseGeneration",
            to=Role.INVOLVED,
            on={
                "GenerationRaised": _heard(),
                "CommandRefused": Again(),
                "StepHostLost": _heard(Owe.FENCE),
            },
            progress=frozenset(
                {
                    "GuestHandedOver",
                    "GuestArrived",
                    "GuestEvacuated",
                    "ResizeReverted",
                    "GuestOffloaded",
                }
            ),
            exhausted=_heard(Owe.FENCE),
            no_way_back="it does nothing to the guest; it ends by itself",
            deadline="step_timeout",
            retries=2,
        ),
    ),
    endings=(
        Ending(name="reset", ok=True, clear_elsewhere=True),
        Ending(name="offloaded", ok=False, clear_host=True, clear_elsewhere=True, fault=None),
        Ending(name="resolved", ok=True),
    ),
)
