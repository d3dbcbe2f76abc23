"""An operator who fences lost hosts, has their guests evacuated, and lets them come back.

He is honest: a host that he vouches is off has no power, or what runs on it is cut off from disks
and net (its agent is alive, hears nothing, and finds its guests when it is back). He takes his word
back when every evacuation that he asked for has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from events.node import NodeForcedDown, NodeForcedUp
from events.requests import ActionRequested
from projections.rows import ActionRow, InstanceRow, NodeRow, RejectionRow, SagaRow

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud
    from tests.simulation.processes import HostProcess

S: Final = 1_000_000
#: An agent that hears nothing begins nothing after half a minute (`compute.limits.CUT_OFF_S`).
ALIVE_AFTER_S: Final = 40
EVACUABLE: Final = ("active", "stopped", "error")
NEVER_US: Final = 2**62
_UP: Final = NodeForcedUp(user_id="operator", reason="looked at")


class Fences:
    """Hosts that are off by somebody's word."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._rng = cloud.dice.rng
        #: Hosts fenced, and the requests made since.
        self._fenced: dict[str, list[str]] = {}
        #: Hosts that are fenced for a request which has not been made yet.
        self.awaited: set[str] = set()
        #: Since when each host that is cut off hears nothing.
        self._deaf_since: dict[str, int] = {}

    def note_cut_off(self, host: str, *, is_out: bool) -> None:
        """Note that a host hears nothing from here on, or that it hears again."""
        if is_out:
            self._deaf_since.setdefault(host, self._cloud.now_us)
        else:
            self._deaf_since.pop(host, None)

    def evacuate(self) -> bool:
        """Fence a lost host, or have a guest of a fenced one evacuated; say whether one was."""
        lost = [host for host in self._cloud.hosts if self._status(host.name) == "lost"]
        down = [name for name in sorted(self._fenced) if self._status(name) == "forced_down"]
        if down and self._rng.random() < 0.8:
            return self._ask(self._rng.choice(down))
        if lost:
            self.fence(self._rng.choice(lost))
        return False

    def lift(self, *, at_rest: bool = False) -> None:
        """Take the word back of hosts whose evacuations are over."""
        for name in sorted(self._fenced):
            is_over = name not in self.awaited and self._is_quiet(name)
            if is_over and (at_rest or self._rng.random() < 0.1):
                self._lift(name)
        if at_rest:
            self._say_again()

    def _say_again(self) -> None:
        """Take a word back once more where the first taking back was set aside, and is gone."""
        for host in self._cloud.hosts:
            if host.name not in self._fenced and self._status(host.name) == "forced_down":
                self._cloud.workload.say_of_host(host.name, _UP)

    def _status(self, host: str) -> str:
        node = self._cloud.database.rows["nodes"].get((host,))
        return node.status if isinstance(node, NodeRow) else ""

    def fence(self, host: HostProcess) -> None:
        """Have a host off, and say so, unless it stands in the middle of a turn."""
        if host.name in self._fenced or host.process.is_busy:
            return
        since = self._deaf_since.get(host.name)
        is_deaf = since is not None and self._cloud.now_us - since > ALIVE_AFTER_S * S
        if is_deaf and self._rng.random() < 0.7:
            self._cloud.world.isolate(host.name)
        else:
            host.kill(NEVER_US, power=True)
        # Nobody hears it before the word is taken back, and it hears nobody.
        host.process.gate.is_fenced = True
        self._fenced[host.name] = []
        word = NodeForcedDown(user_id="operator", reason="switched off")
        self._cloud.workload.say_of_host(host.name, word)

    def _ask(self, name: str) -> bool:
        rows = [
            row
            for row in self._cloud.watch.instances()
            if row.host == name and row.vm_state in EVACUABLE
        ]
        if not rows:
            return False
        # One of them, or all at once.
        for row in rows if self._rng.random() < 0.3 else [self._rng.choice(rows)]:
            self.ask(name, row.uuid, self._request(row))
        return True

    def ask(self, name: str, uuid: str, request: ActionRequested) -> None:
        """Ask for something of a guest of a fenced host, which stays off until that is over."""
        self.awaited.discard(name)
        self._fenced[name].append(self._cloud.workload.say(uuid, request))

    def _request(self, row: InstanceRow) -> ActionRequested:
        rng = self._rng
        return ActionRequested(
            action="evacuate",
            user_id="operator",
            project_id="project",
            is_admin=True,
            host=rng.choice(self._cloud.hosts).name if rng.random() < 0.1 else None,
            source_up=False,
            fenced_hosts=tuple(sorted(self._fenced)),
            arguments={
                "priority": str(rng.randint(0, 9)),
                **({"target_state": "stopped"} if rng.random() < 0.2 else {}),
            },
        )

    def _is_quiet(self, name: str) -> bool:
        """Say whether every request was judged and every evacuation from there is over."""
        rows = self._cloud.database.rows
        judged = {
            row.request_id
            for table in ("instance_actions", "rejections")
            for row in rows[table].values()
            if isinstance(row, ActionRow | RejectionRow)
        }
        running = any(
            isinstance(row, SagaRow) and row.saga == "evacuate" and row.status != "ended"
            for row in rows["sagas"].values()
        )
        return not running and judged.issuperset(self._fenced[name])

    def _lift(self, name: str) -> None:
        del self._fenced[name]
        here = {row.uuid for row in self._cloud.watch.instances() if row.host == name}
        self._cloud.world.rejoin(name, here)
        host = next(each for each in self._cloud.hosts if each.name == name)
        host.process.gate.is_fenced = False
        host.process.wakes_at = 0
        self._cloud.workload.say_of_host(name, _UP)
