"""Mistakes that a house like this is known to make, each behind a switch.

Nothing of this is in the house: a context manager puts a mistake into its place and takes it out
again. Beside each stands the mix of faults in which it shows, for a mistake is caught only where
what it was written against happens.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import count
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from compute import fake_operations
from compute.agent import Agent
from compute.dispatch import Dispatch
from compute.fake_site import Check
from conductor import step
from conductor.fold import Fold
from conductor.notifications import telling
from conductor.relay import Relay
from conductor.states import States
from conductor.wiring import Conductor
from conductor.worker import Worker
from events import seal
from events.log import Message, TopicPartition
from events.values import replace as with_values
from projections.store import Batch, Order, StoreUnavailable
from statemachines import addressing, burial, claims, effects, interpreter, judge
from statemachines.chain import Place
from statemachines.chain import place as place_in_chain
from statemachines.held import Held, SagaState
from statemachines.run import Run
from statemachines.saga import Owe
from tests.simulation.faults import Plan
from tests.simulation.patching import patched
from tests.simulation.store_model import StoreModel

Switch = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One mistake: how to make it, where it shows, and the laws of which one must catch it."""

    name: str
    switch: Switch
    caught_by: tuple[str, ...]
    rates: Mapping[str, float] = field(default_factory=dict)
    #: The journal writes `begun` and does not sync it.
    forgets_begun: bool = False

    def in_plan(self) -> Plan:
        """Return the cloud in which the mistake shows."""
        return replace(QUIET, rates=dict(self.rates))


#: A small cloud in which nothing goes wrong.
QUIET: Final = Plan(
    conductors=2,
    hosts=3,
    partitions=2,
    instances=4,
    steps=500,
    request_rate=0.15,
    batch_records_max=50,
    step_us=200_000,
    is_warm=True,
    memory_mb=16_896,
    same_host_resize=False,
)


def _unconditional_checkpoint() -> AbstractContextManager[None]:
    return patched((StoreModel, "_may_advance", lambda _self, _batch: True))


def _cache_after_failed_commit() -> AbstractContextManager[None]:
    stand_at = Fold.stand_at

    def commit(self: Worker, batches: list[Batch]) -> None:
        try:
            honest(self, batches)
        except StoreUnavailable:
            for batch in batches:
                mine = self._owned.partitions[batch.partition]
                if mine.fold._now is not None:
                    mine.fold.keep()
            raise

    def stand_here(self: Fold, **values: object) -> None:
        with patched((States, "clear", lambda _self: None)):
            stand_at(self, **values)  # type: ignore[arg-type]  # as they were given

    honest = Worker._commit
    return patched((Worker, "_commit", commit), (Fold, "stand_at", stand_here))


def _mark_before_send() -> AbstractContextManager[None]:
    def send(
        self: Relay,
        acting: Mapping[TopicPartition, int],
        sendable: list[tuple[Order, Message]],
    ) -> None:
        self._note(acting, [order for order, _ in sendable])
        self._writer.append([message for _, message in sendable])

    return patched((Relay, "_send", send))


def _random_command_id() -> AbstractContextManager[None]:
    """An id is what whoever owns the partition drew for it: a successor draws another."""
    numbers, drawn, stand_at = count(1), dict[tuple[object, ...], str](), Fold.stand_at

    def draw(*asked: object) -> str:
        return drawn.setdefault(asked, str(UUID(int=next(numbers) << 64, version=4)))

    def forget(fold: Fold, **where: Any) -> None:
        drawn.clear()
        stand_at(fold, **where)

    # What is found once is drawn anew by whoever comes next.
    find = addressing._id_of.__wrapped__
    return patched(
        (addressing, "command_id", draw),
        (addressing, "_id_of", find),
        (Fold, "stand_at", forget),
    )


def _generation_ignored() -> AbstractContextManager[None]:
    return patched((Dispatch, "_older", lambda _self, _letter: None))


def _gap_ignored() -> AbstractContextManager[None]:
    def place(*arguments: object) -> Place:
        found = place_in_chain(*arguments)  # type: ignore[arg-type]  # as they were given
        return Place.NEXT if found is Place.GAP else found

    return patched((judge, "place", place))


def _mac_without_topic() -> AbstractContextManager[None]:
    def mac(secret: bytes, _topic: bytes, *parts: bytes) -> bytes:
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(secret, framed, "sha256")

    return patched((seal, "_mac", mac))


def _destroyed_without_evidence() -> AbstractContextManager[None]:
    report_start = Agent._report_start

    def clean_start(self: Agent) -> None:
        report_start(self)
        driver = self._driver._driver  # type: ignore[attr-defined]  # behind its gate
        for guest in driver.guests():
            driver._world.change(gone=[driver._world.half(driver._host, guest.instance_id)])

    return patched((Agent, "_report_start", clean_start))


def _claim_not_released() -> AbstractContextManager[None]:
    def keep(*_: object) -> None:
        """Release nothing."""

    def bury(run: Run) -> None:
        kept = run.held.claims
        burial.bury(run)
        run.held = with_values(run.held, claims=kept)

    return patched(
        (interpreter, "bury", bury),
        (claims, "release", keep),
        (effects.build, "release", keep),
        (effects.images, "release", keep),
        (effects.moves, "release", keep),
        (interpreter, "release", keep),
    )


def _half_an_image_left() -> AbstractContextManager[None]:
    honest = interpreter.owe

    def owe(run: Run, what: Owe, host: str, evidence: str, image: str = "") -> None:
        if what is not Owe.IMAGE:
            honest(run, what, host, evidence, image)

    return patched((interpreter, "owe", owe))


def _image_deleted_with_the_guest() -> AbstractContextManager[None]:
    honest = effects.EFFECTS["GuestOffloaded"]

    def offloaded(run: Run, saga: SagaState | None) -> None:
        honest(run, saga)
        interpreter.drop_shelved_image(run, run.held.shelved_host)

    return patched((effects, "EFFECTS", {**effects.EFFECTS, "GuestOffloaded": offloaded}))


def _timer_on_an_outage() -> AbstractContextManager[None]:
    def go_on(self: Conductor) -> None:
        self._was_out = False

    return patched((Conductor, "_after_outage", go_on))


def _clean_up_before_confirm() -> AbstractContextManager[None]:
    take_effect = effects.take_effect

    def tidy(run: Run, saga: SagaState | None) -> None:
        take_effect(run, saga)
        move = run.held.move
        if run.name == "ResizeFinished" and move is not None and move.source != run.held.host:
            interpreter.owe(run, Owe.DESTROY, move.source, "moved")

    return patched((step, "take_effect", tidy))


def _owner_not_told() -> AbstractContextManager[None]:
    def told(held: Held) -> tuple[object, ...]:
        return held.vm_state, held.task_state, held.power_state

    return patched((telling, "_is_told", told))


def _nothing_let_go() -> AbstractContextManager[None]:
    def keep(*_: object, **__: object) -> Check:
        yield from ()
        return None

    return patched((fake_operations, "let_go", keep))


def _tombstone_stands() -> AbstractContextManager[None]:
    return patched((interpreter, "fell_tombstones", lambda _run, _host: None))


_ALL: Final[Sequence[Planted]] = (
    Planted(
        name="unconditional checkpoint",
        switch=_unconditional_checkpoint,
        caught_by=("I15", "I5", "I4"),
        rates={"conductor_stalls": 0.02},
    ),
    Planted(
        name="cache kept after a failed COMMIT",
        switch=_cache_after_failed_commit,
        caught_by=("I4", "I10", "I2", "C1"),
        rates={"store_refuses": 0.05},
    ),
    Planted(
        name="mark before send",
        switch=_mark_before_send,
        caught_by=("I14",),
        rates={"log_refuses": 0.05},
    ),
    Planted(
        name="random command id",
        switch=_random_command_id,
        caught_by=("I4", "I14"),
        rates={"conductor_dies": 0.005},
    ),
    Planted(
        name="generation ignored",
        switch=_generation_ignored,
        caught_by=("S6", "I1", "I2"),
        rates={"log_delays": 0.15, "host_out": 0.01},
    ),
    Planted(
        name="gap ignored",
        switch=_gap_ignored,
        caught_by=("I11",),
        rates={"log_drops_fact": 0.05},
    ),
    Planted(
        name="MAC without topic",
        switch=_mac_without_topic,
        caught_by=("K9", "I13"),
        rates={"log_misroutes": 0.05},
    ),
    Planted(
        name="begun not synced",
        switch=nullcontext,
        caught_by=("I8",),
        rates={"agent_dies": 0.02},
        forgets_begun=True,
    ),
    Planted(
        name="guest destroyed without evidence",
        switch=_destroyed_without_evidence,
        caught_by=("S2", "I2"),
        rates={"agent_dies": 0.01},
    ),
    Planted(
        name="claim not released",
        switch=_claim_not_released,
        caught_by=("I9",),
    ),
    Planted(
        name="timer on an outage",
        switch=_timer_on_an_outage,
        caught_by=("T3",),
        rates={"broker_out": 0.01},
    ),
    Planted(
        name="half an image left",
        switch=_half_an_image_left,
        caught_by=("I20",),
        rates={"driver_fails": 0.1},
    ),
    Planted(
        name="image deleted with the guest",
        switch=_image_deleted_with_the_guest,
        caught_by=("S2", "I20"),
    ),
    Planted(name="owner not told", switch=_owner_not_told, caught_by=("I21",)),
    Planted(
        name="tombstone that never falls",
        switch=_tombstone_stands,
        caught_by=("S3",),
        rates={"host_out": 0.03, "host_cut_off": 0.01},
    ),
    Planted(name="nothing let go", switch=_nothing_let_go, caught_by=("I16",)),
    Planted(
        name="clean-up before confirm", switch=_clean_up_before_confirm, caught_by=("S7", "I9")
    ),
)
PLANTED: Final[Mapping[str, Planted]] = MappingProxyType({each.name: each for each in _ALL})
