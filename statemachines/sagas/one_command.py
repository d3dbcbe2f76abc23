"""The shape of most operations: one command to the instance's host, and nothing to undo.

A host that is lost, or silent until the retries are used up, must not carry the command out later:
it owes a fence. What becomes of the two states is said by the arrows of the endings.
"""

from __future__ import annotations

from statemachines.saga import ONE_GO, End, Ending, Next, Owe, Role, Saga, Step, To, saga


def one_command(
    name: str,
    command: str,
    *,
    on: dict[str, Next],
    event: str,
    progress: frozenset[str] = frozenset(),
    refused: str = "failed",
) -> Saga:
    """Return the saga that has the owner carry out one command; `refused` ends an unheard one."""
    named = [way.ending for way in on.values() if isinstance(way, End)]
    failures = dict.fromkeys(ending for ending in (*named, refused) if ending != "done")
    return saga(
        name=name,
        first=To("ask"),
        steps=(
            Step(
                name="ask",
                command=command,
                to=Role.OWNER,
                on={
                    **on,
                    "CommandRefused": End(refused),
                    "StepHostLost": End("host_lost", owe=Owe.FENCE),
                },
                progress=progress,
                exhausted=End("timed_out", owe=Owe.FENCE),
                no_way_back=ONE_GO,
                action_events=(event,),
                deadline="step_timeout",
                retries=2,
            ),
        ),
        endings=(
            Ending(name="done", ok=True),
            *(Ending(name=str(ending), ok=False) for ending in failures),
            Ending(name="host_lost", ok=False),
            Ending(name="timed_out", ok=False),
            Ending(name="resolved", ok=False),
        ),
    )
