"""The API's voice on the log that the settings name, with the machine's clock and ids."""

from __future__ import annotations

from events.ports import Clock, IdSource, RandomIds, SystemClock
from regente.places import existing_log, topics_of
from regente.requests import Requests
from regente.settings import Settings
from regente.state_folder import StateFolder


def open_requests(settings: Settings, folder: StateFolder) -> tuple[Requests, Clock, IdSource]:
    """Return what appends requests, and the clock and ids that it uses."""
    clock, ids = SystemClock(), RandomIds()
    requests = Requests(
        log=existing_log(settings, folder),
        topics=topics_of(settings),
        master=folder.master(),
        clock=clock,
        ids=ids,
    )
    return requests, clock, ids
