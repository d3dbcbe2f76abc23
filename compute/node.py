"""Who a host is: its name, its key, its topics and its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field

from compute.limits import Bounds
from events.seal import Key, split_key_id
from events.topics import Topics


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What every part of an agent knows of the host that it runs on."""

    host: str
    #: The host's own key; commands to it are sealed under a key derived from this one.
    key: Key
    #: Partitions of the event topics; every topic that agents write has the same number.
    partitions: int
    topics: Topics = field(default_factory=Topics)
    bounds: Bounds = field(default_factory=Bounds)
    #: Seconds that one look into the command topic may wait for a record.
    poll_s: float = 0.0

    def __post_init__(self) -> None:
        name, _ = split_key_id(self.key.key_id)
        if name != self.host:
            raise ValueError(f"Expected the key of {self.host}, but it is {self.key.key_id}")

    @property
    def enrolment(self) -> int:
        """Return the number of the enrolment that the key comes from."""
        return split_key_id(self.key.key_id)[1]
