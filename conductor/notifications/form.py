"""What the table of notifications is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from events.envelope import Envelope
from statemachines.held import Held, SagaState


class By(StrEnum):
    """Who publishes."""

    SPEAKER = "speaker"  # The host that says the fact; else the owner.
    OWNER = "owner"
    SOURCE = "source"
    DESTINATION = "destination"
    TARGET = "target"  # The host that a side saga is about.
    CONDUCTOR = "conductor"
    API = "api"


class View(StrEnum):
    """Which state of the instance the payload shows."""

    BEFORE = "before"
    AFTER = "after"
    OLD_HOST = "old host"  # After the fact, but on the host of before.
    NO_HOST = "no host"  # Before the fact, but on no host any more.


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """One fact, as far as one saga is concerned."""

    envelope: Envelope[object]
    before: Held | None
    after: Held
    saga: SagaState | None
    #: Are volumes named in payloads? Nova leaves them out by default.
    has_block_devices: bool = False


Condition = Callable[[Occasion], bool]


def always(_occasion: Occasion) -> bool:
    """Hold."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """One notification."""

    event: str
    by: By = By.SPEAKER
    #: Sent before the `instance.update` that the fact calls for, else after it.
    is_first: bool = False
    view: View = View.AFTER
    #: Nova's exception, where the payload has a fault, and its sentence, `reason` put in.
    exception: str | None = None
    message: str = "{reason}"
    only: Condition = always


def first(
    event: str,
    by: By = By.SPEAKER,
    *,
    view: View = View.BEFORE,
    only: Condition = always,
) -> Say:
    """Say it before the update, by default of the state before."""
    return Say(event=event, by=by, is_first=True, view=view, only=only)


def failed(event: str, exception: str, message: str = "{reason}", view: View = View.BEFORE) -> Say:
    """Say before the update what went wrong, as the exception that nova would have raised."""
    return Say(event=event, is_first=True, view=view, exception=exception, message=message)


def then(event: str, by: By = By.SPEAKER, *, only: Condition = always) -> Say:
    """Say it after the update, of the state after."""
    return Say(event=event, by=by, only=only)
