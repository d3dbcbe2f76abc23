"""An operator's request, from what was typed to what became of it.

Looks up what the fold may not look up (the flavor, the instance by name, whether the host's
service is up), appends the request, then waits in the rows for the verdict and, if asked to, for
the saga's end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, NamedTuple, TypeVar

from conductor.scheduler import lacks_room
from conductor.scheduler_options import SchedulerOptions
from events.node import NodeForcedDown, NodeForcedUp
from events.ports import Clock, IdSource
from events.requests import ActionRequested, Flavor
from projections.rows import ActionRow, InstanceRow, RejectionRow, SagaRow
from projections.view_rows import Service
from projections.views import Views
from regente.flavors import FLAVORS
from regente.naming import UnknownThing, instance_meant
from regente.requests import Appended, Requests
from statemachines.node import FORCED_DOWN
from statemachines.permissions import PERMISSIONS
from statemachines.refused import SECRETS

#: After this the caller is told that the request is recorded and not judged yet.
VERDICT_S: Final = 10.0
_POLL_S: Final = 0.05
_SLOW_POLL_S: Final = 0.25
_UP: Final = "started"
#: Actions that need the host that a move came from, not the one that the instance is on.
_AT_THE_SOURCE: Final = frozenset({"confirm_resize"})

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody typed."""

    action: str
    #: Uuid or name; the name of the new one for a create.
    instance: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    host: str | None = None
    #: Hosts of which the one who asks vouches that they are off.
    fenced_hosts: tuple[str, ...] = ()
    is_admin: bool = False
    user_id: str = "operator"
    project_id: str = "operator"


class Answer(NamedTuple):
    """What became of a request."""

    request_id: str
    instance_uuid: str
    #: `accepted`, `refused` or `pending`.
    verdict: str
    saga_id: str | None
    #: Of a refusal: the word for programs, then the sentence.
    code: str | None
    reason: str | None


class Desk:
    """Takes requests and tells what became of them."""

    def __init__(
        self,
        *,
        views: Views,
        requests: Requests,
        clock: Clock,
        ids: IdSource,
        options: SchedulerOptions | None = None,
    ) -> None:
        self._options = options or SchedulerOptions()
        self._views = views
        self._requests = requests
        self._clock = clock
        self._ids = ids

    def send(self, wish: Wish) -> tuple[Appended, str]:
        """Leave the request in the log; return where, and the instance that it is about.

        A flavor, host or uuid that nobody knows is the judge's to refuse, so that the refusal is
        recorded. Raises UnknownThing for an action or a name that nobody knows, for a name that
        two have, and for a secret, which must not come into the log; LogUnavailable.
        """
        action = known_action(wish.action)
        row = None if action == "create" else instance_meant(self._views, wish.instance)
        arguments = dict(wish.arguments)
        if secrets := sorted(SECRETS & arguments.keys()):
            raise UnknownThing(
                f"Expected no secret, but {secrets[0]}: what is in the log stays there."
            )
        flavor = FLAVORS.get(arguments.get("flavor", ""))
        if flavor is not None:
            del arguments["flavor"]
        if action == "create":
            instance_id = self._ids.uuid()
            arguments["name"] = wish.instance
            if flavor is None and "flavor" not in arguments:
                raise UnknownThing(
                    f"Expected --arg flavor=NAME of {', '.join(FLAVORS)}, but a create names none."
                )
        else:
            instance_id = wish.instance if row is None else row.uuid
        fact = ActionRequested(
            action=action,
            user_id=wish.user_id,
            project_id=wish.project_id,
            is_admin=wish.is_admin,
            flavor=flavor,
            host=wish.host,
            host_seen="" if wish.host is None else self._seen(wish.host, flavor, row),
            source_up=row is None or self._is_up(action, row),
            fenced_hosts=self._fenced(wish),
            arguments=arguments,
        )
        return self._requests.about(instance_id, fact), instance_id

    def verdict(self, sent: Appended, instance_id: str, within_s: float = VERDICT_S) -> Answer:
        """Return what the judge said of a request, `pending` if nothing within that time."""

        def judged() -> ActionRow | RejectionRow | None:
            return self._views.verdict(sent.request_id)

        row = self._wait(judged, within_s, _POLL_S)
        if row is None:
            return Answer(sent.request_id, instance_id, "pending", None, None, None)
        if isinstance(row, RejectionRow):
            return Answer(sent.request_id, instance_id, "refused", None, row.code, row.reason)
        return Answer(sent.request_id, instance_id, "accepted", row.saga_id, None, None)

    def force(self, host: str, fact: NodeForcedDown | NodeForcedUp) -> bool:
        """Say of a host that it is off, or is not any more; say whether the rows say so too.

        Raises UnknownThing for a host that never started; LogUnavailable.
        """

        def told() -> Service | None:
            is_down = isinstance(fact, NodeForcedDown)
            found = [s for s in self._views.services() if s.host == host]
            return next((s for s in found if (s.status == FORCED_DOWN) is is_down), None)

        if not any(each.host == host for each in self._views.services()):
            raise UnknownThing(f"Expected a host that has started once, but {host}.")
        self._requests.about_host(host, fact)
        return self._wait(told, VERDICT_S, _POLL_S) is not None

    def ending(self, saga_id: str, within_s: float | None) -> SagaRow | None:
        """Return the saga once it has ended or needs a person; None if not within that time."""

        def ended() -> SagaRow | None:
            row = self._views.saga(saga_id)
            return None if row is None or row.status == "running" else row

        return self._wait(ended, within_s, _SLOW_POLL_S)

    def _wait(self, look: Callable[[], Found], within_s: float | None, poll_s: float) -> Found:
        end_s = None if within_s is None else self._clock.monotonic_s() + within_s
        while True:
            found = look()
            if found is not None or (end_s is not None and self._clock.monotonic_s() >= end_s):
                return found
            self._clock.sleep(poll_s)

    def _fenced(self, wish: Wish) -> tuple[str, ...]:
        """Return the hosts that are off by the word of whoever asks, or that are forced down."""
        services = {each.host: each.status for each in self._views.services()}
        if unknown := [host for host in wish.fenced_hosts if host not in services]:
            raise UnknownThing(f"Expected a host that has started once, but {', '.join(unknown)}.")
        forced = {host for host, status in services.items() if status == FORCED_DOWN}
        return tuple(sorted(forced.union(wish.fenced_hosts)))

    def _seen(self, host: str, flavor: Flavor | None, row: InstanceRow | None) -> str:
        """Say of a host what the judge, who may not look, has to know of it."""
        room = self._views.room(host)
        if room is None:
            return "unknown"
        if room.status != _UP:
            return "down"
        if flavor is None and row is not None:
            flavor = Flavor(
                name=row.flavor_name,
                vcpus=row.vcpus,
                memory_mb=row.memory_mb,
                disk_gb=row.root_gb,
            )
        # Whether a new instance fits is the scheduler's to say.
        is_full = row is not None and flavor is not None and lacks_room(room, flavor, self._options)
        return "full" if is_full else "up"

    def _is_up(self, action: str, row: InstanceRow) -> bool:
        """Say whether the service is up that the action needs, as nova's API looks at it."""
        host = row.host
        if action in _AT_THE_SOURCE:
            moves = self._views.migrations(instance_uuid=row.uuid)
            host = moves[-1].source_compute if moves else host
        status = {each.host: each.status for each in self._views.services()}
        return host is None or status.get(host) == _UP


def known_action(typed: str) -> str:
    """Return the action that was typed; raises UnknownThing, with what may have been meant."""
    action = typed.replace("-", "_")
    if action in PERMISSIONS:
        return action
    close = get_close_matches(action, PERMISSIONS, n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise UnknownThing(f"Expected one of nova's {len(PERMISSIONS)} actions, but {typed}.{hint}")
