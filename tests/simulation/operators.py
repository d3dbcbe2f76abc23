"""What operators say of sagas that wait for a person, and of those that do not; what they give up.

They have dice of their own. Most often they are not needed: then they are refused, and change
nothing.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from events.codec import decode_fact
from events.errors import BadRecord
from events.log import TopicPartition
from events.requests import RecordDiscarded, SagaCompensated, SagaResolved, SagaRetried
from projections.rows import ParkedRow, SagaRow
from statemachines.sagas import SAGAS

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud

#: How often one of them says something in a turn, and in a cloud of busybodies.
WORD_RATE: Final = 0.1
BUSY_RATE: Final = 0.5
#: One seed of so many is such a cloud: there nearly everything is undone while it goes on.
BUSY_SEEDS: Final = 16
#: Words of an operator about one saga before he ends it by hand.
RETRIES_MAX: Final = 3


class Operators:
    """People who lead out what can't go on by rule."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._rng = Random(f"operators of {cloud.seed}")
        self._is_busy = cloud.seed % BUSY_SEEDS == BUSY_SEEDS - 1
        self._led_out: dict[str, int] = {}
        #: Records that an operator gave up.
        self.discarded: set[tuple[str, int, int]] = set()

    @property
    def was_needed(self) -> bool:
        """Did an operator have to lead a saga out?"""
        return bool(self._led_out)

    def meddle(self) -> None:
        """Say something, now and then, of a saga that waits, or of one that goes on by itself."""
        rng = self._rng
        if rng.random() >= (BUSY_RATE if self._is_busy else WORD_RATE):
            return
        going_on = [saga for saga in self._sagas() if saga.status != "ended"]
        waiting = [saga for saga in going_on if saga.status == "needs_operator"]
        words: tuple[type[SagaRetried | SagaCompensated | SagaResolved], ...]
        if waiting:
            words = (SagaRetried, SagaCompensated, SagaResolved)
            self._say(rng.choice(waiting), rng.choice(words))
        elif going_on:
            words = (SagaCompensated,) if self._is_busy else (SagaRetried, SagaCompensated)
            self._say(rng.choice(going_on), rng.choice(words))

    def operate(self) -> None:
        """Lead out what waits for a person: retry, in the end resolve; give up what is hopeless."""
        self._cloud.fences.lift(at_rest=True)
        for saga in self._sagas():
            if saga.status == "needs_operator":
                self._lead_out(saga)
        rows = self._cloud.database.rows["parked"]
        for key in sorted(rows):
            parked = rows[key]
            if isinstance(parked, ParkedRow) and self._is_hopeless(parked):
                self._release(parked)

    def _sagas(self) -> list[SagaRow]:
        rows = self._cloud.database.rows["sagas"]
        return [row for key in sorted(rows) if isinstance(row := rows[key], SagaRow)]

    def _say(self, saga: SagaRow, word: type[SagaRetried | SagaCompensated | SagaResolved]) -> None:
        fact = word(saga_id=saga.saga_id, user_id="operator", reason="seen to")
        self._cloud.workload.say(saga.instance_uuid, fact)

    def _lead_out(self, saga: SagaRow) -> None:
        tries = self._led_out.get(saga.saga_id, 0)
        self._led_out[saga.saga_id] = tries + 1
        has_way_back = SAGAS[saga.saga].steps[saga.step].compensate is not None
        if tries >= RETRIES_MAX:
            self._say(saga, SagaResolved)
        elif has_way_back and self._rng.random() < 0.5:
            self._say(saga, SagaCompensated)
        else:
            self._say(saga, SagaRetried)

    def _is_hopeless(self, parked: ParkedRow) -> bool:
        """Is it what a worker died of, or of a schema that nobody will ever admit?"""
        if parked.reason == "set-aside":
            return True
        tp = TopicPartition(parked.topic, parked.partition)
        record = self._cloud.log.partition(tp).records[parked.offset]
        return parked.reason == "schema" and not is_readable(record.value)

    def _release(self, parked: ParkedRow) -> None:
        position = (parked.topic, parked.partition, parked.offset)
        if position in self.discarded:
            return
        self.discarded.add(position)
        word = RecordDiscarded(
            partition=parked.partition,
            offset=parked.offset,
            source="",
            digest=b"",
            user_id="operator",
            reason="of no use to anybody",
        )
        self._cloud.workload.say(parked.subject, word)


def is_readable(value: bytes | None) -> bool:
    """Say whether a value can be decoded as a fact."""
    try:
        decode_fact(value or b"")
    except BadRecord:
        return False
    return True
