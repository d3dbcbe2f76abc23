"""All that is remembered of one instance between two facts: the state that the fold carries.

Plain frozen values, so that it can be stored as one body (`held.vN`), compared field by field,
and folded again from the log to the same value. It knows no rule; what may follow what is in the
arrows and in the sagas' tables.

Times are µs UTC of the log's append time, unless a name says otherwise.
"""

from __future__ import annotations

from msgspec import Struct, field

from events.parts import NOTHING_ATTACHED, Accelerator, Attachments, Port, Volume
from events.requests import Flavor
from statemachines.shadow import Shadow


class Head(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """How far one writer's chain about this instance has been heard."""

    source: str
    enrolment: int
    boot_epoch: int
    sequence: int
    #: Hash of the last record: what the next one has to name.
    digest: bytes
    #: Marks of those before it, newest last, side by side (`statemachines.chain`).
    marks: bytes = b""


class Parked(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A record that waits: for a gap to close, for its schema, or for a person."""

    topic: str
    partition: int
    offset: int
    timestamp_us: int
    leader_epoch: int
    key: bytes
    value: bytes
    prev: bytes
    mac: bytes
    #: Who wrote it, as its key id says.
    source: str
    #: Its number; 0 where it could not be read.
    sequence: int
    #: `early`, `schema`, `set-aside` or `released`.
    reason: str


class Boot(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """One start of a host, and how far it had come in what it says of itself."""

    host: str
    enrolment: int
    boot_epoch: int
    #: Number of the host's fact about itself that is meant; 0 where none is.
    sequence: int


class Claim(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """Room that the instance takes on a host; counted until it is released."""

    host: str
    #: The saga for which the room was claimed: tells the two sizes of a same-host resize apart.
    saga_id: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    created_at: int


class Move(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """The last migration; stays when its saga has ended, for confirm and revert to read."""

    migration_id: int
    migration_type: str
    status: str
    saga_id: str
    source: str
    source_node: str | None
    destination: str | None
    dest_node: str | None
    old_flavor: Flavor
    new_flavor: Flavor
    old_vm_state: str
    created_at: int
    updated_at: int
    user_id: str
    project_id: str
    memory_total: int | None = None
    memory_processed: int | None = None
    memory_remaining: int | None = None
    disk_total: int | None = None
    disk_processed: int | None = None
    disk_remaining: int | None = None


class OpenEvent(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """An action event that has started and not ended."""

    row_id: int
    event: str
    host: str | None
    started_at: int


class Asked(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A command that a saga sent: to whom, in which attempt of which step.

    What it was is in the step (`addressing.command_asked`); its id is a function of these and of
    the saga's (`addressing.id_of`). Neither is kept: thousands of sagas wait at a time.
    """

    host: str
    step: str
    attempt: int
    #: The saga that asked it, where that was a predecessor of the one that has it.
    saga_id: str | None = None
    #: Does whoever carries it out take hold of the guest's volumes and ports?
    takes_hold: bool = False


class SagaState(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """Where a saga stands."""

    saga_id: str
    saga: str
    version: int
    #: The request that started it, and nova's name of the action; None for the house's own.
    request_id: str | None
    action: str | None
    user_id: str
    project_id: str
    started_at: int
    generation: int
    step: str
    #: How often this saga has entered this step, from 1.
    attempt: int
    #: How often in the present stay; what the step's retries bound.
    tries: int
    entered_at: int
    #: Number of this step in the saga's life, from 1.
    n: int
    #: Hosts whose answer the step waits for; the scheduler counts as one.
    pending: tuple[str, ...] = ()
    #: Commands sent, oldest first, bounded.
    asked: tuple[Asked, ...] = ()
    #: Every host that was sent a command.
    commanded: tuple[str, ...] = ()
    #: The host of a side saga that is about one host.
    target: str | None = None
    destination: str | None = None
    forced_host: str | None = None
    #: Hosts of which the request vouched that they are off.
    fenced: tuple[str, ...] = ()
    #: Hosts that may not be chosen (again): tried ones, and those that owed when it was asked.
    excluded: tuple[str, ...] = ()
    #: How many hosts have been tried and given up.
    tried: int = 0
    #: Name of the ending to which a compensation leads.
    outcome: str | None = None
    #: Why: the reason of the failure that decided the outcome.
    reason: str | None = None
    abort_requested: bool = False
    #: The sentence for the operator for whom the saga waits; None while it goes on by itself.
    needs_operator: str | None = None
    events: tuple[OpenEvent, ...] = ()
    #: How often each step has been entered.
    entries: dict[str, int] = field(default_factory=dict)
    #: What the instance was, and made of, when the saga began.
    was_vm_state: str = ""
    was_image: str = ""
    #: Arguments of the request.
    arguments: dict[str, str] = field(default_factory=dict)
    #: Noted on entry of a step: what is asked must not change while the answer is awaited.
    attachments: Attachments = NOTHING_ATTACHED


class HeldVolume(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A volume of the guest, and where it is attached."""

    volume: Volume
    #: `attaching`, `in-use`, `swapping` or `detaching`: what is in use goes where the guest goes.
    status: str
    created_at: int
    #: Hosts that said that they are connected to it, sorted.
    hosts: tuple[str, ...] = ()


class HeldPort(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A port of the guest, and where it is bound."""

    port: Port
    #: `attaching`, `in-use` or `detaching`, as for a volume.
    status: str
    created_at: int
    #: Hosts that said that it is bound to them, sorted.
    hosts: tuple[str, ...] = ()
    #: The one of them to which its traffic goes.
    active_host: str | None = None


class HeldAccelerator(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """An accelerator request of the guest, and where it is bound."""

    accelerator: Accelerator
    created_at: int
    #: Hosts that said that a device of theirs is bound to it, sorted.
    hosts: tuple[str, ...] = ()


class Heard(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A request that was heard, accepted or not; kept for an hour to know its repeat."""

    request_id: str
    at: int


class Held(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """The state of one instance."""

    instance_id: str
    #: `nova` (shadow) or `regente`: set by the first fact.
    origin: str
    vm_state: str
    task_state: str | None = None
    power_state: int = 0
    host: str | None = None
    node: str | None = None
    name: str = ""
    image: str = ""
    user_id: str = ""
    project_id: str = ""
    flavor: Flavor
    #: The image of a shelved guest: its id, the host that made it, since when.
    shelved_image: str | None = None
    shelved_host: str | None = None
    shelved_at: int | None = None
    #: The vm_state to which a move leads back.
    old_vm_state: str | None = None
    locked: bool = False
    created_at: int
    updated_at: int
    launched_at: int | None = None
    deleted_at: int | None = None
    #: When a delete was last asked that can be taken back.
    soft_deleted_at: int | None = None
    #: Since when vm_state, task_state and power_state are what they are.
    states_since: int = 0
    generation: int = 0
    heads: tuple[Head, ...] = ()
    parked: tuple[Parked, ...] = ()
    #: The primary saga.
    saga: SagaState | None = None
    #: Side actions, clean-ups owed, answers to a host's start.
    sides: tuple[SagaState, ...] = ()
    claims: tuple[Claim, ...] = ()
    move: Move | None = None
    #: Evacuations that are done, and whose old host has not left nothing of the guest yet.
    tombstones: tuple[Move, ...] = ()
    #: In which boot the owner last said whether it has the guest.
    seen_in: Boot | None = None
    #: The last doubt whether it has: raised by its start, or by its digest.
    doubted: Boot | None = None
    requests: tuple[Heard, ...] = ()
    volumes: tuple[HeldVolume, ...] = ()
    ports: tuple[HeldPort, ...] = ()
    accelerators: tuple[HeldAccelerator, ...] = ()
    #: What users noted, by key, sorted.
    metadata: dict[str, str] = field(default_factory=dict)
    #: Words that users gave it, sorted.
    tags: tuple[str, ...] = ()
    shadow: Shadow | None = None
    #: A person has to look at a record before anything more happens here.
    set_aside: bool = False
    #: When (µs UTC) an action last had its time by itself, by action.
    elapsed: dict[str, int] = field(default_factory=dict)
