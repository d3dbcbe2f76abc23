"""One cloud's notifications, turned into facts about instances.

It remembers which hosts an instance is tied to (the one it is on, those it was evacuated from), so
that what is said of a service reaches the instances that it means. It refuses to know states.
What it forgets in a restart it learns again from the notifications that follow; facts that it
makes twice carry the same ids, and the fold drops the repeat.
"""

from __future__ import annotations

from typing import Final

from events.facts_nova import NovaReported
from events.nova import Notification, ServiceUpdated, read_notification, reports

_COMPUTE: Final = "nova-compute"
#: Hosts remembered of one instance; what an older one does no longer concerns it.
HOSTS_MAX: Final = 16


class Ingest:
    """Maps the notifications of one cloud, in the order of arrival, to facts about instances."""

    def __init__(self) -> None:
        #: instance → hosts; an instance that is deleted leaves, so it is as large as the cloud.
        self._hosts: dict[str, tuple[str, ...]] = {}
        #: host → the last word on its compute service, while that is `forced_down`.
        self._down: dict[str, ServiceUpdated] = {}

    def read(self, line: bytes | str, *, origin: str = "") -> tuple[NovaReported, ...]:
        """Return the facts in a record's value or a line of a recording; raises BadRecord."""
        return self.take(read_notification(line, origin=origin))

    def take(self, notification: Notification) -> tuple[NovaReported, ...]:
        """Return what a notification says, once for each instance that it concerns."""
        said = reports(notification)
        match said:
            case None:
                return ()
            case ServiceUpdated():
                return self._service(said)
            case NovaReported():
                return self._instance(said)

    def _service(self, said: ServiceUpdated) -> tuple[NovaReported, ...]:
        if said.binary not in ("", _COMPUTE):
            return ()
        if said.forced_down:
            self._down[said.host] = said
        else:
            self._down.pop(said.host, None)
        tied = [uuid for uuid, hosts in self._hosts.items() if said.host in hosts]
        return tuple(said.about(uuid) for uuid in tied)

    def _instance(self, said: NovaReported) -> tuple[NovaReported, ...]:
        uuid = said.instance_uuid
        if not said.event_type.startswith("instance."):
            # Conductor and scheduler speak of builds before there is an instance: nothing to add.
            return (said,) if uuid in self._hosts else ()
        before = self._hosts.get(uuid, ())
        if said.event_type == "instance.delete.end":
            self._hosts.pop(uuid, None)
            return (said,)
        self._hosts[uuid] = _tied(before, said)
        fresh = [h for h in self._hosts[uuid] if h not in before and h in self._down]
        return (*(self._down[host].about(uuid) for host in fresh), said)


def _tied(before: tuple[str, ...], said: NovaReported) -> tuple[str, ...]:
    """Every host that the instance was on; a host that it was evacuated from is one of them."""
    host = said.host
    if host is None or host in before:
        return before
    return (*before[1 - HOSTS_MAX :], host)
