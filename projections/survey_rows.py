"""What a survey of hosts reads: what they said since, and what the rows have of their guests."""

from __future__ import annotations

from typing import NamedTuple


class HostSurvey(NamedTuple):
    """A host whose guests may have to be asked after: it started, or said a digest, since."""

    host: str
    enrolment: int
    boot_epoch: int
    start_sequence: int
    digest_sequence: int
    surveyed_sequence: int
    #: Lower-case hex.
    digest: str


class GuestRecorded(NamedTuple):
    """An instance of a host as the rows have it."""

    uuid: str
    power_state: int
    #: Is an operation under way, so that the next fact may change it?
    is_busy: bool
