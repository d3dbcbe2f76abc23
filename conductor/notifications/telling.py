"""What nova would have said of one fact. Pure: the same fact and state give the same bytes.

The words of the fact come first, then the `instance.update` that the change of states calls for,
then what follows: steps entered and endings reached, in the order in which the heart noted them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal
from uuid import uuid5

from conductor.notifications.form import By, Occasion, Say, View
from conductor.notifications.payloads import (
    Data,
    exception_payload,
    payload_of,
    task_payload,
    update_payload,
)
from conductor.notifications.words import UPDATE, WORDS
from conductor.step import Outcome
from events.envelope import COMPUTE, Envelope
from events.ids import NAMESPACE
from events.migration import LiveMigrationDequeued
from events.nova_wire import Notice
from events.requests import ActionRequested
from events.values import replace
from statemachines.addressee import addressee, sagas_of
from statemachines.held import Held, SagaState
from statemachines.notes import SagaNote
from statemachines.sagas import IMMEDIATE
from statemachines.sagas.sides import ABORT
from statemachines.verdict import Accepted

#: Nova's names of services before the host in a publisher's id.
_BINARY: Final = {By.CONDUCTOR: "nova-conductor", By.API: "nova-api"}
#: Nova's exception of a task that found no host.
_NO_HOST: Final = "NoValidHost"

StateChange = Literal["vm_state", "vm_and_task_state"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How notifications are told: nova's options."""

    #: `instance.update` for changes of vm_state, of both states, or not at all.
    notify_on_state_change: StateChange = None
    #: Are the guest's volumes named in `block_devices`?
    bdms_in_notifications: bool = False
    #: The host after `nova-api:` and `nova-conductor:`, which are no hosts of the log.
    plane: str = "regente"


def notices_of(envelope: Envelope[object], outcome: Outcome, manner: Manner) -> tuple[Notice, ...]:
    """Return the notifications of one fact, in nova's order; none where nothing was accepted."""
    after = outcome.after
    if not isinstance(outcome.verdict, Accepted) or after is None or after.origin != "regente":
        return ()
    return tuple(_Teller(envelope, outcome.before, after, outcome, manner).tell())


class _Teller:
    """The telling of one fact."""

    def __init__(
        self,
        envelope: Envelope[object],
        before: Held | None,
        after: Held,
        outcome: Outcome,
        manner: Manner,
    ) -> None:
        self._envelope = envelope
        self._before = before
        self._after = after
        self._outcome = outcome
        self._manner = manner
        #: The state as it was last told.
        self._told = before
        self._count = 0

    def tell(self) -> Iterator[Notice]:
        said = [(saga, say) for saga, trigger in self._triggers() for say in _words(saga, trigger)]
        for saga, say in said:
            if say.is_first:
                yield from self._say(saga, say)
        if self._told is not None and _is_told(self._told) != _is_told(self._after):
            yield from self._update(self._on_behalf(), self._after, self._by_whom())
        for saga, say in said:
            if not say.is_first:
                yield from self._say(saga, say)

    def _triggers(self) -> Iterator[tuple[SagaState | None, str]]:
        """Yield what happened to which saga: the fact itself, then what the heart noted."""
        fact = self._envelope.fact
        if isinstance(fact, ActionRequested):
            if fact.action in IMMEDIATE:
                yield None, f"request:{fact.action}"
        elif self._before is not None:
            saga = addressee(self._before, self._envelope)
            if saga is not None:
                yield saga, type(fact).__name__
        seen: set[tuple[str, int]] = set()
        for note in self._outcome.notes:
            if not isinstance(note, SagaNote):
                continue
            state = note.state
            if note.ending is not None:
                yield state, f"={note.ending}"
            elif self._is_entered(state) and (state.saga_id, state.n) not in seen:
                seen.add((state.saga_id, state.n))
                yield state, f">{state.step}"

    def _on_behalf(self) -> SagaState | None:
        """Return the saga in whose course the states change: nova names its request."""
        before, after = self._before, self._after
        if before is None:
            return after.saga
        if isinstance(self._envelope.fact, LiveMigrationDequeued):
            # Taken out of the queue by the abort, and saved by it.
            return next((s for s in before.sides if s.saga == ABORT.name), before.saga)
        told = addressee(before, self._envelope)
        return self._started() if told is None else told

    def _started(self) -> SagaState | None:
        """Return the saga that the fact began; None where it began none."""
        ids = {s.saga_id for s in sagas_of(self._before)} if self._before is not None else set()
        return next((s for s in sagas_of(self._after) if s.saga_id not in ids), None)

    def _is_entered(self, state: SagaState) -> bool:
        """Did the saga come to its step by this fact, and for the first time in this stay?"""
        return state.tries == 1 and state.entered_at == self._envelope.timestamp_us

    def _say(self, saga: SagaState | None, say: Say) -> Iterator[Notice]:
        at = self._occasion(saga)
        if not say.only(at):
            return
        if say.event == UPDATE:
            yield from self._update(saga, self._shown(say.view), self._publisher(say.by, saga))
            return
        publisher = self._publisher(say.by, saga)
        if say.event.startswith("compute_task."):
            why = exception_payload(_NO_HOST, (saga.reason if saga else None) or "")
            yield self._notice(say.event, publisher, task_payload(at, why))
            return
        fault = None
        if say.exception is not None:
            reason = getattr(self._envelope.fact, "reason", "")
            message = say.message.format(instance=self._after.instance_id, reason=reason)
            fault = exception_payload(say.exception, message)
        payload = payload_of(say.event, self._shown(say.view), at, fault)
        yield self._notice(say.event, publisher, payload)

    def _update(self, saga: SagaState | None, shown: Held, publisher: str) -> Iterator[Notice]:
        """Say that the states changed, as far as nova is told to say so."""
        old, self._told = self._told or shown, shown
        wanted = self._manner.notify_on_state_change
        if wanted is None:
            return
        if wanted == "vm_state" and old.vm_state == shown.vm_state:
            old = replace(old, task_state=shown.task_state)
        payload = update_payload(old, shown, self._occasion(saga))
        yield self._notice(UPDATE, publisher, payload)

    def _occasion(self, saga: SagaState | None) -> Occasion:
        return Occasion(
            envelope=self._envelope,
            before=self._before,
            after=self._after,
            saga=saga,
            has_block_devices=self._manner.bdms_in_notifications,
        )

    def _shown(self, view: View) -> Held:
        before, after = self._before or self._after, self._after
        match view:
            case View.BEFORE:
                return before
            case View.OLD_HOST:
                return replace(after, host=before.host, node=before.node)
            case View.NO_HOST:
                return replace(before, host=None, node=None)
            case _:
                return after

    def _by_whom(self) -> str:
        """Return who saves in nova what the fact changed."""
        source = self._envelope.meta.source
        if source.startswith(COMPUTE):
            return self._publisher(By.SPEAKER, None)
        return self._publisher(By.API if source == "api" else By.CONDUCTOR, None)

    def _publisher(self, by: By, saga: SagaState | None) -> str:
        if by in _BINARY:
            return f"{_BINARY[by]}:{self._manner.plane}"
        return f"nova-compute:{self._host(by, saga) or self._manner.plane}"

    def _host(self, by: By, saga: SagaState | None) -> str | None:
        held = self._after
        owner = held.host or (None if self._before is None else self._before.host)
        move = held.move
        match by:
            case By.SOURCE if move is not None:
                return move.source
            case By.DESTINATION:
                chosen = None if saga is None else saga.destination
                return chosen or (None if move is None else move.destination)
            case By.TARGET if saga is not None:
                return saga.target
            case By.SPEAKER:
                return self._envelope.host or owner
            case _:
                return owner

    def _notice(self, event: str, publisher: str, payload: Data) -> Notice:
        number, self._count = self._count, self._count + 1
        at = self._envelope
        name = f"{at.topic}/{at.partition}/{at.offset}/notification/{number}"
        return Notice(
            event_type=event,
            publisher_id=publisher,
            message_id=str(uuid5(NAMESPACE, name)),
            timestamp_us=at.timestamp_us,
            key=self._after.instance_id,
            payload=payload,
        )


def _words(saga: SagaState | None, trigger: str) -> tuple[Say, ...]:
    return WORDS.get(("" if saga is None else saga.saga, trigger), ())


def _is_told(held: Held) -> tuple[object, ...]:
    """Return what an `instance.update` is sent for."""
    return (
        held.vm_state,
        held.task_state,
        held.power_state,
        held.host,
        held.name,
        held.locked,
    )
