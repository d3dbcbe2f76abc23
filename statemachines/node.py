"""What is remembered of one host: what it has to give, which boot it is in, whether it is lost.

The chain of a host's facts about itself is followed like every chain, but a gap stops nothing: each
of these facts says everything that it says anew. Being lost and being back are the conductor's
words; being off for certain (forced down, the fence) is an operator's, and stands above both.
"""

from __future__ import annotations

from msgspec import Struct

from events import node
from events.envelope import API, CONDUCTOR, Envelope
from events.register import NODE_FACTS
from events.values import replace
from statemachines.chain import Place, marks_after, place
from statemachines.held import Head
from statemachines.verdict import Accepted, Duplicate, Rejected, Verdict

FORCED_DOWN = "forced_down"


class NodeHeld(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """The state of one host."""

    host: str
    head: Head | None = None
    node: str = ""
    hypervisor_type: str = ""
    vcpus: int = 0
    memory_mb: int = 0
    disk_gb: int = 0
    boot_epoch: int = 0
    #: `unknown` before its first start, then `started`, `stopped`, `lost` or `forced_down`.
    status: str = "unknown"
    lost_count: int = 0
    guest_count: int = 0
    #: Numbers of its last start and digest, and up to which its guests were asked after.
    start_sequence: int = 0
    digest_sequence: int = 0
    surveyed_sequence: int = 0
    #: Lower-case hex of its last digest.
    digest: str = ""
    created_at: int
    updated_at: int


class NodeOutcome(Struct, frozen=True, gc=False):
    """What the judge said of a host's fact, and the state after it."""

    verdict: Verdict
    after: NodeHeld | None


def step_node(held: NodeHeld | None, envelope: Envelope[object]) -> NodeOutcome:
    """Conclude about one fact of the node topic. Total: never raises."""
    verdict = _judge(held, envelope)
    if not isinstance(verdict, Accepted):
        return NodeOutcome(verdict, held)
    now = envelope.timestamp_us
    if held is None:
        held = NodeHeld(host=envelope.meta.instance_id, created_at=now, updated_at=now)
    return NodeOutcome(verdict, _evolve(replace(held, updated_at=now), envelope))


def _judge(held: NodeHeld | None, envelope: Envelope[object]) -> Verdict:
    fact, subject = envelope.fact, envelope.meta.instance_id
    name = type(fact).__name__
    if isinstance(fact, node.NodeLost | node.NodeReturned | node.NodeSurveyed):
        if envelope.meta.source != CONDUCTOR:
            return Rejected("not-entitled", f"Expected the conductor to say {name}, but it did not")
        # Else it was said before, or is overtaken by what the host itself said.
        return Accepted() if held is not None and _is_news(held, fact) else Duplicate()
    if isinstance(fact, node.NodeForcedDown | node.NodeForcedUp):
        return _judge_force(held, envelope)
    if envelope.host != subject:
        writer = envelope.meta.source
        return Rejected("not-entitled", f"Expected {subject} to speak of itself, but {writer} did")
    if name not in NODE_FACTS or isinstance(fact, node.HeartbeatSent):
        return Rejected("not-entitled", f"Expected no {name} of {subject} among facts of hosts")
    head = None if held is None else held.head
    where = place(head, envelope)
    if where is Place.GAP and head is not None and envelope.enrolment == head.enrolment:
        where = Place.OLDER_BOOT if envelope.meta.boot_epoch < head.boot_epoch else where
    if where is Place.REPEAT:
        return Duplicate()
    if where in (Place.EQUIVOCATION, Place.BROKEN, Place.OLDER_BOOT, Place.OLDER_KEY):
        number = envelope.meta.sequence
        return Rejected(
            where.value, f"Expected number {number} of {subject} to fit, but it doesn't"
        )
    return Accepted()


def _is_news(held: NodeHeld, fact: node.NodeLost | node.NodeReturned | node.NodeSurveyed) -> bool:
    if isinstance(fact, node.NodeSurveyed):
        return fact.sequence > held.surveyed_sequence
    # A host that stopped on purpose and stays away is as lost as one that died.
    is_loss = isinstance(fact, node.NodeLost)
    wanted = ("started", "stopped") if is_loss else ("lost",)
    n = held.lost_count + is_loss
    return held.boot_epoch == fact.boot_epoch and held.status in wanted and fact.n == n


def _judge_force(held: NodeHeld | None, envelope: Envelope[object]) -> Verdict:
    name, subject = type(envelope.fact).__name__, envelope.meta.instance_id
    if envelope.meta.source != API:
        return Rejected("not-entitled", f"Expected an operator to say {name}, but none did")
    if held is None:
        return Rejected("unknown-host", f"Expected {subject} to be known, but it never started")
    is_down = held.status == FORCED_DOWN
    return Duplicate() if is_down is isinstance(envelope.fact, node.NodeForcedDown) else Accepted()


def _evolve(held: NodeHeld, envelope: Envelope[object]) -> NodeHeld:
    held = _with_head(held, envelope)
    match envelope.fact:
        case node.NodeStarted() as fact:
            return replace(
                held,
                node=fact.node,
                hypervisor_type=fact.hypervisor_type,
                vcpus=fact.vcpus,
                memory_mb=fact.memory_mb,
                disk_gb=fact.disk_gb,
                boot_epoch=envelope.meta.boot_epoch,
                start_sequence=envelope.meta.sequence,
                status=held.status if held.status == FORCED_DOWN else "started",
            )
        case node.NodeCapacityReported() as fact:
            return replace(held, vcpus=fact.vcpus, memory_mb=fact.memory_mb, disk_gb=fact.disk_gb)
        case node.NodeDigested() as fact:
            return replace(
                held,
                guest_count=fact.guest_count,
                digest=fact.digest.hex(),
                digest_sequence=envelope.meta.sequence,
            )
        case node.NodeStopped():
            return held if held.status == FORCED_DOWN else replace(held, status="stopped")
        case node.NodeLost():
            return replace(held, status="lost", lost_count=held.lost_count + 1)
        case node.NodeReturned():
            return replace(held, status="started")
        case node.NodeSurveyed() as fact:
            return replace(held, surveyed_sequence=fact.sequence)
        case node.NodeForcedDown():
            return replace(held, status=FORCED_DOWN)
        case node.NodeForcedUp():
            # Nobody has heard it since: its next heartbeat says that it is back.
            return replace(held, status="lost")
        case _:
            return held  # Nothing else is accepted; the judge saw to it.


def _with_head(held: NodeHeld, envelope: Envelope[object]) -> NodeHeld:
    if envelope.host is None:
        return held
    meta, old = envelope.meta, held.head
    follows = (
        old is not None
        and old.enrolment == envelope.enrolment
        and old.sequence + 1 == meta.sequence
    )
    head = Head(
        source=meta.source,
        enrolment=envelope.enrolment,
        boot_epoch=meta.boot_epoch,
        sequence=meta.sequence,
        digest=envelope.digest,
        # Behind a gap the marks kept would stand for other numbers than their own.
        marks=marks_after(old) if follows else b"",
    )
    if old is not None and old.enrolment != envelope.enrolment:
        # Its numbers begin anew.
        held = replace(held, start_sequence=0, digest_sequence=0, surveyed_sequence=0)
    return replace(held, head=head)
