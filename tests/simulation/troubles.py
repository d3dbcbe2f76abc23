"""What befalls a process, the database or the log at a moment, and when it is over."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from compute.errors import JournalFailed
from compute.world import power_failure
from events.errors import LogUnavailable
from projections.store import StoreUnavailable
from tests.simulation.faults import Died
from tests.simulation.lab import Lab
from tests.simulation.processes import Process, S

#: A process that crashed is there again before anybody misses it.
CRASH_S: Final = 5
#: Whatever else is over after so long: a host was missed and recorded as lost meanwhile.
OUT_S: Final = 45


class Victim(StrEnum):
    """Whom it befalls."""

    SOURCE = "source"
    DESTINATION = "destination"
    CONDUCTOR = "conductor"
    SCHEDULER = "scheduler"
    DATABASE = "database"
    LOG = "log"


class Trouble(StrEnum):
    """What it is."""

    #: The process is gone and starts again soon.
    CRASH = "crash"
    #: It stands still, with whatever it holds in its hands, and goes on later.
    STOP = "stop"
    #: It does not reach the log, or nobody reaches it.
    CUT_OFF = "cut-off"
    #: Its disk takes no write.
    DISK_FULL = "disk-full"
    #: The machine is without power: nothing runs on it either.
    POWER = "power"


HOSTS: Final = (Victim.SOURCE, Victim.DESTINATION)
CONDUCTORS: Final = (Victim.CONDUCTOR, Victim.SCHEDULER)


def why_not(victim: Victim, trouble: Trouble) -> str | None:
    """Say why this never befalls the victim; None where it may."""
    if trouble is Trouble.DISK_FULL and victim in CONDUCTORS:
        return "a conductor has no disk of its own"
    if trouble is Trouble.POWER and victim not in HOSTS:
        return "without power it is as crashed"
    return None


def befall_host(lab: Lab, name: str, trouble: Trouble, who: Process | None, point: str) -> None:
    """Let it befall a host; `who` passes a point meanwhile, and may be that host."""
    host = lab.host(name)
    if host.process.gate.is_fenced:
        return  # It is off already.
    is_own = who is host.process
    match trouble:
        case Trouble.CRASH:
            host.kill(CRASH_S * S)
            _die(is_own, CRASH_S)
        case Trouble.POWER:
            power_failure(lab.world, name)
            host.kill(OUT_S * S)
            _die(is_own, OUT_S)
        case Trouble.STOP:
            if is_own:
                lab.wait(OUT_S * S)
            else:
                host.process.wakes_at = lab.now_us + OUT_S * S
        case Trouble.CUT_OFF:
            cut_off(lab, host.process)
            if is_own and point.startswith("log."):
                raise LogUnavailable("Expected an answer, but the host was cut off")
        case Trouble.DISK_FULL:
            lab.obstacles.full.add(name)
            lab.after(OUT_S * S, lambda: lab.obstacles.full.discard(name))
            if is_own and point == "journal.write":
                raise JournalFailed("Expected the journal to take a write, but its disk is full")


def befall_conductor(lab: Lab, trouble: Trouble, who: Process, point: str) -> None:
    """Let it befall the conductor that passes a point now."""
    match trouble:
        case Trouble.CRASH:
            raise Died("conductor", CRASH_S * S)
        case Trouble.STOP:
            for each in lab.conductors:
                if each.process is who:
                    each.be_expelled()
            lab.wait(OUT_S * S)
        case Trouble.CUT_OFF:
            cut_off(lab, who)
            if point.startswith("log."):
                raise LogUnavailable("Expected an answer, but the conductor was cut off")
        case _:
            raise AssertionError(f"Expected what may befall a conductor, but {trouble}")


def befall_database(lab: Lab, trouble: Trouble, who: Process) -> None:
    """Let it befall the database while a conductor asks it for something."""
    match trouble:
        case Trouble.CRASH:
            lab.is_database_out = True
            lab.after(CRASH_S * S, lambda: _set_database(lab, is_out=False))
        case Trouble.STOP:
            lab.is_database_out = True
            lab.after(OUT_S * S, lambda: _set_database(lab, is_out=False))
            lab.wait(OUT_S * S + S)
        case Trouble.CUT_OFF:
            name = who.name
            lab.obstacles.no_store.add(name)
            lab.after(OUT_S * S, lambda: lab.obstacles.no_store.discard(name))
        case Trouble.DISK_FULL:
            lab.obstacles.store_full = True
            lab.after(OUT_S * S, lambda: setattr(lab.obstacles, "store_full", False))
        case Trouble.POWER:
            raise AssertionError("Expected what may befall a database, but power")
    raise StoreUnavailable(f"Expected the database to answer, but {trouble}")


def befall_log(lab: Lab, trouble: Trouble, who: Process) -> None:
    """Let it befall the log while somebody appends to it."""
    match trouble:
        case Trouble.CRASH:
            _break_log(lab, CRASH_S)
        case Trouble.STOP:
            _break_log(lab, OUT_S)
            lab.wait(OUT_S * S + S)
        case Trouble.CUT_OFF:
            cut_off(lab, who)
        case Trouble.DISK_FULL:
            lab.obstacles.log_full = True
            lab.after(OUT_S * S, lambda: setattr(lab.obstacles, "log_full", False))
        case Trouble.POWER:
            raise AssertionError("Expected what may befall a log, but power")
    lab.watch.noticed.add(who.name)
    raise LogUnavailable(f"Expected the log to answer, but {trouble}")


def cut_off(lab: Lab, process: Process) -> None:
    """Let a process not reach the log for a while."""
    process.gate.is_cut_off = True
    lab.after(OUT_S * S, lambda: setattr(process.gate, "is_cut_off", False))


def _die(is_own: bool, seconds: int) -> None:
    if is_own:
        raise Died("agent", seconds * S)


def _set_database(lab: Lab, *, is_out: bool) -> None:
    lab.is_database_out = is_out


def _break_log(lab: Lab, seconds: int) -> None:
    lab.is_broker_out = True
    lab.watch.broker(is_out=True)

    def mend() -> None:
        lab.is_broker_out = False
        lab.watch.broker(is_out=False)

    lab.after(seconds * S, mend)
