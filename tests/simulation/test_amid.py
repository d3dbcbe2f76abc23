"""A host dies while it lets go what a guest held there, and nobody hears what it had let go.

`CleanUpSource` and `RollbackDestination` do not carry what is to be let go, so such a host says
nothing of it afterwards. It need not: they go to hosts at which the guest is not at home, and
whatever ends them there, or takes them over, ends with nothing of the guest there.
`ReleaseDestination` goes to hosts that had taken hold of nothing.
"""

from __future__ import annotations

from typing import Final, cast

import pytest

from compute.fake_attachments import attached_on
from compute.hypervisor import Report
from conductor import fold
from events.values import replace
from statemachines.sagas import BY_ACTION, SAGAS
from tests.simulation.invariants import empty, quiet
from tests.simulation.lab import Lab, Trap
from tests.simulation.matrix import requested
from tests.simulation.moments import Target
from tests.simulation.patching import patched
from tests.simulation.processes import Process, S
from tests.simulation.provoking import have_undone
from tests.simulation.routes import Route, arm, go, make, prepared
from tests.simulation.troubles import CRASH_S, Trouble, befall_host

#: Words of a part that was let go.
LET_GO: Final = ("VolumeDetached", "PortUnbound", "AcceleratorUnbound")
#: A saga and its step, and how that comes about.
PLACES: Final = {
    "clean_source": Route("live_migrate"),
    "roll_back_destination": Route(
        "live_migrate", (("live_migration", "migrate", "LiveMigrationFailed"),)
    ),
}
#: What comes while the host is away, or just after it is back; nothing, and it is asked again.
THEN: Final = (
    *("", "delete", "reset_state", "soft_delete", "evacuate", "stop", "live_migrate", "migrate"),
    *("rebuild", "reboot_hard", "compensate"),
)


class Amid:
    """An operation at a step whose host dies when it has let the first, second … part go."""

    def __init__(self, step: str, route: Route, parts: int, then: str, after_s: int) -> None:
        self.route = route
        self.lab, self.request = prepared(route)
        self._target = Target(self.lab, BY_ACTION[route.action], step)
        self._parts, self._then, self._after_s = parts, then, after_s
        self._told = 0
        self.is_struck = False

    def run(self) -> list[str]:
        """Return the laws that are broken at rest, and when the instance is deleted."""
        lab: Lab = self.lab
        with patched((fold, "step", lab.watch.step)):
            arm(lab, self.route)
            lab.traps.append(Trap(self._has_let_go, self._strike))
            make(lab, self.request)
            go(lab, self.route)
            if broken := quiet(lab):
                return broken
            lab.workload.delete_all()
            lab.settle()
            return empty(lab)

    def _has_let_go(self, who: Process, name: str, subject: object) -> bool:
        self._target.look(name, subject)
        orders = self._target.orders if self._target.is_stored else ()
        if name != "driver.poll.done" or not orders or who.name != orders[0].host:
            return False
        reports = cast("tuple[Report, ...]", subject)
        mine = [r for r in reports if r.command_id == orders[0].command_id]
        self._told += sum(type(report.fact).__name__ in LET_GO for report in mine)
        return self._told >= self._parts

    def _strike(self, who: Process, point: str) -> None:
        self.is_struck = True
        self.lab.after(self._after_s * S, self._ask)
        befall_host(self.lab, who.name, Trouble.CRASH, who, point)

    def _ask(self) -> None:
        lab, held = self.lab, self.lab.held
        if self._then == "compensate":
            have_undone(lab, self._target)
        elif self._then == "evacuate" and held is not None and held.host is not None:
            asked = requested(self._then)
            lab.ask_of_fenced(held.host, replace(asked, source_up=False, fenced_hosts=(held.host,)))
        elif self._then:
            lab.ask(requested(self._then))


def released(action: str) -> Route:
    """Return the way on which a source that failed to give the guest away has it restored."""
    return Route(action, ((action, "migrate", "ResizeFailed"),))


@pytest.mark.parametrize("then", THEN)
@pytest.mark.parametrize("step", PLACES)
def test_a_host_that_dies_while_it_lets_go_leaves_no_part_said_to_be_there(
    step: str, then: str
) -> None:
    for parts in (1, 2):
        for after_s in (0, CRASH_S + 2):
            amid = Amid(step, PLACES[step], parts, then, after_s)
            assert amid.run() == []
            assert amid.is_struck


@pytest.mark.parametrize("action", ["resize", "migrate"])
def test_a_destination_of_a_resize_that_is_released_has_taken_hold_of_nothing(action: str) -> None:
    """It does so at the last step, from which the way back is another command's."""
    lab, request = prepared(route := released(action))
    target = Target(lab, SAGAS[route.detours[0][0]], "release_destination")
    found: list[bool] = []

    def has_begun(_who: Process, name: str, subject: object) -> bool:
        target.look(name, subject)
        if target.is_stored and target.orders:
            found.append(attached_on(lab.world, target.orders[0].host, lab.uuid).has_any)
        return False

    with patched((fold, "step", lab.watch.step)):
        arm(lab, route)
        lab.traps.append(Trap(has_begun, lambda _who, _point: None))
        make(lab, request)
        go(lab, route)

    assert found
    assert not any(found)
