"""What a saga's table is made of.

A saga is data: steps with the command that each asks, the facts that end it and where they lead,
deadline, retries, and the way out when everything else fails. The tables stand in
`statemachines.sagas`, one operation a file; `statemachines.interpreter` is the only code that
follows them, and `statemachines.saga_check` finds what could leave one stuck. vm_state and
task_state are not set here: a fact, or an ending (`resize:failed`), is the trigger of an arrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from msgspec import Struct, field

from statemachines.states import MigrationStatus, MigrationType

TIMED_OUT = "StepTimedOut"
HOST_LOST = "StepHostLost"
REFUSED = "CommandRefused"

#: Reasons for which there is no way back, each of more than one operation.
ONE_GO = "what it asks of one host is done or not done, and is given up after its last attempt"
NO_HOST_YET = "no host was asked for anything that is not undone; it ends by itself"
GOES_BACK = "it goes back already, and ends by itself"
OWED = "it is the way back of something else: retry it, or resolve it if its host never returns"


class Role(StrEnum):
    """To whom a step's command goes."""

    SCHEDULER = "scheduler"  # The executor in the conductor; not a host.
    OWNER = "owner"  # The instance's host.
    SOURCE = "source"  # The host that the move comes from.
    DESTINATION = "destination"  # The host that was chosen.
    TARGET = "target"  # The one host that a side saga is about.
    INVOLVED = "involved"  # Every host that may have something of the instance.
    ELSEWHERE = "elsewhere"  # Every such host but the owner.


class Owe(StrEnum):
    """What a lost host has to do when it is there again, before the saga may forget it."""

    DESTROY = "destroy"  # Leave nothing of the guest.
    FENCE = "fence"  # Hear of a new generation, so that no old command is carried out.
    IMAGE = "image"  # The same, and leave nothing of the image that the saga was making.


class To(Struct, frozen=True, gc=False):
    """Go to a step."""

    step: str
    #: The ending to which the compensation that begins here leads.
    outcome: str | None = None
    #: Give the destination up: exclude it, release its claim, count it as tried.
    give_up: bool = False
    #: What the host of the step that is left owes.
    owe: Owe | None = None


class End(Struct, frozen=True, gc=False):
    """End the saga: with the ending named, else the outcome noted on the way."""

    ending: str | None = None
    owe: Owe | None = None
    #: Name of the side saga that begins when this one has ended, about the same host.
    beside: str | None = None


class Again(Struct, frozen=True, gc=False):
    """Enter the step again while its retries last, then take `Step.exhausted`."""

    #: Name of the side saga that begins beside the new attempt.
    beside: str | None = None


class NeedsOperator(Struct, frozen=True, gc=False):
    """Wait for a person: `regente saga retry / compensate / resolve` leads out."""


class Choice(Struct, frozen=True, gc=False):
    """Go one way if the named condition of the state holds, else the other."""

    condition: str
    then: Next
    otherwise: Next


Next = To | End | Again | NeedsOperator | Choice


class Step(Struct, frozen=True, kw_only=True, gc=False):
    """One waiting point of a saga."""

    name: str
    #: Name of the command asked; None where the step waits for something that happens by itself.
    command: str | None
    to: Role
    #: Facts that end the step, and where each leads; StepTimedOut is `Again` unless named.
    on: Mapping[str, Next]
    #: Facts that may come meanwhile and end nothing.
    progress: frozenset[str] = frozenset()
    #: Where a failure, a time-out or a refusal leads when the retries are used up.
    exhausted: Next = field(default_factory=NeedsOperator)
    #: Where `regente saga compensate` leads, whether or not the step waits for a person.
    compensate: Next | None = None
    #: Why there is no way back; beside `compensate`, why there is none where that leads nowhere.
    no_way_back: str = ""
    #: On the way back already: `compensate` leaves out what keeps failing, which its host owes
    #: then, and is heard only once the step waits for a person.
    goes_back: bool = False
    #: What its hosts owe where a winner takes over in the middle of it.
    superseded: Owe | None = None
    migration_status: MigrationStatus | None = None
    #: Nova's names of the action events that run during the step; one that is open goes on.
    action_events: tuple[str, ...] = ()
    #: Action events that nova writes only where the step fails.
    failure_events: tuple[str, ...] = ()
    #: Name of the setting (seconds) that bounds one attempt; 0 there means `step_max_s`.
    deadline: str = "step_max_s"
    #: The setting is per GiB of the guest's memory, of which at least two are counted.
    per_gib: bool = False
    retries: int = 0
    after_no_return: bool = False
    #: Waits as long as it takes, by design: a clean-up owed by a host that is away.
    patient: bool = False


class Ending(Struct, frozen=True, kw_only=True, gc=False):
    """One way in which a saga ends; `saga:ending` is the trigger of its arrow."""

    name: str
    ok: bool
    migration_status: MigrationStatus | None = None
    #: Release the claim that this saga made at the destination (the move did not happen).
    release_destination: bool = False
    #: Release the claim on the host that a side saga is about: nothing is expected of it any more.
    release_target: bool = False
    #: The instance is on no host after this.
    clear_host: bool = False
    #: The migration names no destination after this: it had not taken the guest yet.
    clear_destination: bool = False
    #: It ended as its user asked: that is no error of the action.
    as_asked: bool = False
    #: What the user of the instance is told of a failure, `reason` put in; None where nothing is.
    fault: str | None = "{reason}"
    #: The code of that fault, as nova's exceptions have it.
    fault_code: int = 500
    #: The image is the one that it was when the saga began.
    restore_image: bool = False
    #: Whoever else has room claimed owes to leave nothing of it, and no migration stays open.
    clear_elsewhere: bool = False
    #: The source of the move owes to leave nothing of the guest; the move is completed by that.
    leaves_tombstone: bool = False


class Saga(Struct, frozen=True, kw_only=True, gc=False):
    """One operation as a table."""

    name: str
    version: int = 1
    first: Next
    steps: Mapping[str, Step]
    endings: Mapping[str, Ending]
    primary: bool = True
    #: A side action that a user asked of the guest at its host: ends with it, and may be a fault.
    of_guest: bool = False
    #: The type of the migration record that the saga makes when it starts.
    migration_type: MigrationType | None = None
    migration_status: MigrationStatus | None = None
    #: Migration status by fact, where a fact within a step changes it.
    statuses: Mapping[str, MigrationStatus] = field(default_factory=dict)
    #: May the saga choose the instance's own host? (Name of the setting that allows it.)
    same_host: str | None = None
    #: Makes the guest anew where it is, from the image of its request: the scheduler is only asked
    #: whether its host may.
    remakes: bool = False
    #: Can it begin while the instance is on no host?
    without_host: bool = False
    #: Why every host may destroy what it has, the owner too; None where the guest lives on.
    evidence: str | None = None


def saga(*, steps: tuple[Step, ...], endings: tuple[Ending, ...], **rest: object) -> Saga:
    """Return the table of an operation, its steps and endings found by name."""
    table = Saga(
        steps={s.name: s for s in steps},
        endings={e.name: e for e in endings},
        **rest,  # type: ignore[arg-type]  # passed through to the dataclass as they are
    )
    assert len(table.steps) == len(steps), f"Expected distinct steps in {table.name}"
    return table


def branches(next_: Next) -> Iterator[To | End | Again | NeedsOperator]:
    """Yield every way that a `Next` may lead, its conditions taken both ways."""
    if isinstance(next_, Choice):
        yield from branches(next_.then)
        yield from branches(next_.otherwise)
    else:
        yield next_
