"""Single stories in the lab: what the matrix and the seeds have found, told by itself."""

from __future__ import annotations

from functools import partial
from typing import Final, cast

from compute.fake_site import Failure, FailureKind
from compute.world import Role
from conductor import fold, step
from events.codec import decode_command, decode_fact
from events.commands import BuildGuest
from events.log import Message
from events.migration import PostCopyStarted
from events.requests import SagaCompensated, SagaResolved
from events.values import replace
from projections.rows import RejectionRow
from projections.store import RESEND_STEP
from statemachines.held import SagaState
from statemachines.interpreter import operate
from statemachines.resume import RESEND
from statemachines.run import Run
from statemachines.sagas import SAGAS
from tests.simulation.invariants import at_rest
from tests.simulation.lab import Lab, Trap
from tests.simulation.matrix import requested
from tests.simulation.moments import Target
from tests.simulation.operators import is_readable
from tests.simulation.patching import patched
from tests.simulation.processes import Process, S
from tests.simulation.provoking import provoke
from tests.simulation.routes import Route, arm, go, make, prepared, requests_of
from tests.simulation.troubles import OUT_S
from tests.simulation.watch import is_decision

#: Rounds in which a word is surely judged.
WORD_ROUNDS: Final = 20


def says(lab: Lab, _who: Process, name: str, subject: object) -> bool:
    """Say whether a host is about to append facts about an instance."""
    facts = [] if name != "log.append" else cast("list[Message]", subject)
    topic = lab.topics.instance_events
    return any(m.topic == topic and not is_decision(m) for m in facts)


def says_again(lab: Lab, who: Process, name: str, subject: object) -> bool:
    """Say whether a host that was asked for missing facts is about to append them."""
    is_asked = RESEND in {waiting.timer.step for waiting in lab.database.timers.values()}
    return is_asked and says(lab, who, name, subject)


def lose(lab: Lab, *_: object) -> None:
    """Have the log lose the first of the facts that are being appended, and no more."""
    lab.dice.rates = {"log_drops_fact": 1.0}
    lab.after(0, lab.dice.rates.clear)


def the_first(_count: int) -> int:
    """Draw the first of however many."""
    return 0


def test_a_gap_whose_facts_are_lost_when_they_are_sent_again_too_is_asked_about_again() -> None:
    lab = Lab()
    with patched((fold, "step", lab.watch.step), (lab.dice.rng, "randrange", the_first)):
        lab.traps += [Trap(partial(when, lab), partial(lose, lab)) for when in (says, says_again)]
        make(lab, requests_of("create")[0])
        lab.turn()
        lab.settle()

    assert all(trap.is_sprung for trap in lab.traps)
    held = lab.held
    assert held is not None
    assert (held.vm_state, held.parked) == ("active", ())


def says_post_copy(_who: Process, name: str, subject: object) -> bool:
    """Say whether the log has just been told that a guest is half there, and goes on there."""
    messages = cast("list[Message]", subject) if name == "log.append.done" else []
    values = [m.value for m in messages if is_readable(m.value)]
    return any(isinstance(decode_fact(value or b"")[1], PostCopyStarted) for value in values)


def waits_for_operator(lab: Lab) -> bool:
    """Say whether the primary saga waits for a person."""
    saga = None if lab.held is None else lab.held.saga
    return saga is not None and saga.needs_operator is not None


def test_an_operator_who_would_have_a_post_copy_undone_loses_no_guest_and_breaks_no_law() -> None:
    lab = Lab(live_migration_completion_timeout="1")
    with patched((fold, "step", lab.watch.step)):
        make(lab, requests_of("create")[0])
        lab.settle()
        lab.failures["LiveMigrateGuest.copy"] = Failure(kind=FailureKind.POST_COPY)
        hosts = {host.name for host in lab.hosts}
        lab.traps.append(Trap(says_post_copy, lambda *_: lab.obstacles.dazed.update(hosts)))
        make(lab, requests_of("live_migrate")[-1])
        lab.until(lambda: waits_for_operator(lab), "a saga that waits for a person")
        saga = lab.held.saga if lab.held else None
        assert saga is not None
        word = SagaCompensated(saga_id=saga.saga_id, user_id="operator", reason="have it back")
        said = lab.workload.say(lab.uuid, word)
        for _ in range(WORD_ROUNDS):
            lab.turn()
        heard = [] if lab.held is None else [each.request_id for each in lab.held.requests]
        refused = dict(lab.database.rows["rejections"])
        is_undone = not waits_for_operator(lab) or bool(lab.database.outbox)
        lab.obstacles.dazed.clear()
        lab.settle()
        broken = at_rest(lab)

    assert said in heard
    assert [row.code for row in refused.values() if isinstance(row, RejectionRow)] == [
        "nothing-to-undo"
    ]
    assert not is_undone
    assert broken == []
    assert lab.held is not None
    assert lab.held.move is not None
    assert (lab.held.vm_state, lab.held.move.status) == ("active", "completed")
    assert lab.held.host == lab.held.move.destination


def sends_build(_who: Process, name: str, subject: object) -> bool:
    """Say whether a conductor is about to append the order to build a guest."""
    messages = cast("list[Message]", subject) if name == "log.append" else []
    orders = [m.value or b"" for m in messages if ".commands." in m.topic]
    return any(isinstance(decode_command(value).command, BuildGuest) for value in orders)


def undo(lab: Lab, who: Process, _point: str) -> None:
    """Have the create undone, while whoever sends its order stands still until that is over."""
    (saga,) = lab.sagas()
    word = SagaCompensated(saga_id=saga.saga_id, user_id="operator", reason="have it undone")
    lab.workload.say(lab.uuid, word)
    for each in lab.conductors:
        if each.process is who:
            each.be_expelled()
    lab.wait(OUT_S * S)
    assert not lab.sagas(), f"Expected the create to be undone, but {lab.sagas()}"


def go_back_by_the_same_generation(run: Run, saga: SagaState) -> None:
    """Lead a saga back, its hosts told nothing newer: a mistake."""
    way = SAGAS[saga.saga].steps[saga.step].compensate
    assert way is not None
    operate(run, saga, way)


def build_that_is_undone_on_its_way() -> tuple[Lab, list[str]]:
    """Return a lab where the order to build comes after what undoes it, and the laws broken."""
    lab = Lab()
    with patched((fold, "step", lab.watch.step)):
        lab.traps.append(Trap(sends_build, partial(undo, lab)))
        make(lab, requests_of("create")[0])
        lab.turn()
        lab.settle()
        broken = at_rest(lab)
    assert lab.traps[0].is_sprung
    return lab, broken


def test_what_was_undone_while_its_order_was_on_its_way_is_not_made_when_that_comes() -> None:
    lab, broken = build_that_is_undone_on_its_way()
    with patched((step, "go_back", go_back_by_the_same_generation)):
        _, planted = build_that_is_undone_on_its_way()

    assert broken == []
    assert lab.held is not None
    assert (lab.held.vm_state, lab.held.host, lab.held.claims) == ("error", None, ())
    assert any("left over" in each for each in planted)


def test_the_store_knows_what_waits_for_missing_facts_by_its_name() -> None:
    assert RESEND_STEP == RESEND


def test_a_debt_that_is_resolved_while_its_host_is_away_leaves_the_state_true() -> None:
    """The host comes back with a port that nobody waits for any more."""
    route = Route("detach_interface", (("detach_interface", "ask", "StepHostLost"),))
    lab, request = prepared(route)

    def resolve() -> None:
        saga = next(s for s in lab.sagas() if s.saga == "port_debt")
        word = SagaResolved(saga_id=saga.saga_id, user_id="operator", reason="no answer")
        lab.workload.say(lab.uuid, word)

    with patched((fold, "step", lab.watch.step)):
        arm(lab, route)
        provoke(lab, Target(lab, SAGAS["port_debt"], "ask"), "StepHostLost")
        lab.when(lambda: lab.stands_at("port_debt", "owed"), resolve)
        make(lab, request)
        go(lab, route)

    assert at_rest(lab) == []
    held = lab.held
    assert held is not None
    assert [(p.status, p.hosts) for p in held.ports] == [("detaching", (held.host,))]


def test_a_rescued_guest_that_is_said_to_be_active_is_ordinary_once_rebooted_hard() -> None:
    """As in nova, a reset changes what is said of the guest, and not the guest."""
    lab, roles = Lab(), list[Role]()
    with patched((fold, "step", lab.watch.step)):
        make(lab, requests_of("create")[0])
        lab.settle()
        for action, arguments in (("rescue", {}), ("reset_state", {"state": "active"})):
            lab.ask(replace(requested(action), arguments=arguments))
            lab.turn()
            lab.settle()
        roles.append(role_of(lab))
        assert at_rest(lab) == []
        lab.ask(requested("reboot_hard"))
        lab.turn()
        lab.settle()
        roles.append(role_of(lab))

    assert at_rest(lab) == []
    assert roles == [Role.RESCUED, Role.GUEST]


def role_of(lab: Lab) -> Role:
    """Return what the guest is to its host; it is active there."""
    held = lab.held
    assert held is not None
    assert held.vm_state == "active"
    half = lab.world.half(str(held.host), lab.uuid)
    assert half is not None
    return half.role
