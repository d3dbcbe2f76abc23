"""What becomes of an instance whose host has started, or that is doubted (nova: _init_instance).

A running saga has its own ways out and is left to go on. Where none runs, the host has said already
what it found, or is asked; then the rules of `statemachines.arrows.start_up` decide.
"""

from __future__ import annotations

from statemachines.saga import ONE_GO, Again, Choice, End, Ending, Role, Step, To, saga

_DECIDE = Choice("saga_runs", End("left"), End("settled"))

START_UP = saga(
    name="start_up",
    primary=False,
    first=Choice("saga_runs", End("left"), Choice("was_seen", End("settled"), To("look"))),
    steps=(
        Step(
            name="look",
            command="LookForGuest",
            to=Role.TARGET,
            on={
                "GuestSeen": _DECIDE,
                "GuestMissed": _DECIDE,
                "CommandRefused": Again(),
                "StepHostLost": End("unseen"),
            },
            exhausted=End("unseen"),
            no_way_back=ONE_GO,
            deadline="step_timeout",
            retries=2,
        ),
    ),
    endings=(
        Ending(name="settled", ok=True),
        Ending(name="left", ok=True),
        Ending(name="unseen", ok=False),
        Ending(name="resolved", ok=False),
    ),
)
