"""Single stories in the lab: what the matrix and the seeds have found, told by itself."""

from __future__ import annotations

from functools import partial
from typing import cast

from conductor import fold
from events.log import Message
from projections.store import RESEND_STEP
from statemachines.resume import RESEND
from tests.simulation.lab import Lab, Trap
from tests.simulation.patching import patched
from tests.simulation.processes import Process
from tests.simulation.routes import make, requests_of
from tests.simulation.watch import is_decision


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


def test_the_store_knows_what_waits_for_missing_facts_by_its_name() -> None:
    assert RESEND_STEP == RESEND
