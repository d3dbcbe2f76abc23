"""What one fact added to the records that people read: values, one kind for each table of history.

A note carries the whole row as it is now: an event is noted when it starts and again when it ends.
So a projection only has to write the last note of a key, and the auditor gets the same rows from
the same log. Times are µs UTC of the log's append time.
"""

from __future__ import annotations

from msgspec import Struct

from statemachines.held import Move, SagaState


class MigrationNote(Struct, frozen=True, kw_only=True, gc=False):
    """A migration record changed."""

    move: Move


class ActionNote(Struct, frozen=True, kw_only=True, gc=False):
    """An instance action started or finished; `message` is nova's: None or `Error`."""

    request_id: str
    action: str
    user_id: str
    project_id: str
    start_time: int
    finish_time: int | None
    message: str | None
    saga_id: str | None


class EventNote(Struct, frozen=True, kw_only=True, gc=False):
    """An action event started or finished; `result` is nova's: None, `Success` or `Error`."""

    row_id: int
    request_id: str
    event: str
    host: str | None
    start_time: int
    finish_time: int | None
    result: str | None
    details: str | None


class FaultNote(Struct, frozen=True, kw_only=True, gc=False):
    """Something went wrong with the instance that its user has to know."""

    row_id: int
    code: int
    message: str
    details: str
    host: str | None
    created_at: int


class SagaNote(Struct, frozen=True, kw_only=True, gc=False):
    """A saga moved; `state` says where it stands, `ending` how it ended (None while it goes on)."""

    state: SagaState
    ending: str | None
    ok: bool | None
    updated_at: int


class StepNote(Struct, frozen=True, kw_only=True, gc=False):
    """A saga entered or left a step; `left_by` is the fact that ended it."""

    saga_id: str
    n: int
    step: str
    attempt: int
    hosts: tuple[str, ...]
    entered_at: int
    left_at: int | None
    left_by: str | None


Note = MigrationNote | ActionNote | EventNote | FaultNote | SagaNote | StepNote
