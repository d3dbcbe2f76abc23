"""What may go wrong in a run: drawn once from the seed, then asked about at every call of a port.

Swarm: first which classes of faults are on at all (so that rare pairs are not drowned), then their
rates, then how big the cloud is. After `heal` nothing goes wrong any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random
from typing import Final

#: A death at a call of a port. Rates of the others are per call or per step, as their name says.
CLASSES: Final[dict[str, tuple[float, float]]] = {
    # Deaths and stalls of a process at a call of a port.
    "conductor_dies": (0.0005, 0.006),
    "agent_dies": (0.0005, 0.01),
    "conductor_stalls": (0.0005, 0.008),
    "agent_stalls": (0.0005, 0.008),
    # The log, per append or poll.
    "log_refuses": (0.005, 0.1),
    "log_loses_answer": (0.005, 0.1),
    "log_repeats": (0.005, 0.1),
    "log_delays": (0.005, 0.08),
    "log_drops_fact": (0.002, 0.04),
    "log_misroutes": (0.002, 0.04),
    # The database, per transaction.
    "store_refuses": (0.002, 0.05),
    "store_loses_answer": (0.002, 0.05),
    # Longer troubles, per step.
    "broker_out": (0.0005, 0.004),
    "database_out": (0.0005, 0.004),
    "host_cut_off": (0.001, 0.006),
    "host_out": (0.0005, 0.005),
    "power_fails": (0.0005, 0.004),
    "conductor_lost": (0.0005, 0.004),
    # A guest that shuts itself down, per step.
    "guest_stops": (0.001, 0.02),
    # Messages from elsewhere, per step.
    "host_lies": (0.001, 0.02),
    "garbage": (0.001, 0.02),
    # The hypervisor, per call.
    "driver_fails": (0.005, 0.15),
}


#: What comes by itself after a time, beside a confirm.
TIME_LIMITS: Final = (
    "reclaim_instance_interval",
    "rescue_timeout",
    "reboot_timeout",
    "instance_build_timeout",
)


class Died(BaseException):
    """The process is gone, here and now; nobody in it can catch that."""

    def __init__(self, kind: str, for_us: int | None = None) -> None:
        super().__init__(kind)
        #: How long it stays away; None leaves that to the dice.
        self.for_us = for_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How big the cloud of a seed is, what is asked of it, and what goes wrong."""

    conductors: int
    hosts: int
    partitions: int
    instances: int
    steps: int
    #: Requests per step.
    request_rate: float
    #: Records that a worker takes at a time.
    batch_records_max: int
    #: Virtual µs that a step takes at most.
    step_us: int
    #: Do the hosts stand before anything goes wrong?
    is_warm: bool
    #: What a host has: few guests, or many.
    memory_mb: int
    same_host_resize: bool
    #: Seconds that a shelved guest stays on its host; 0: not at all, -1: until it is asked.
    shelved_offload_time: int = 0
    #: Seconds after which a resize is confirmed by itself; 0: never.
    confirm_window_s: int = 0
    #: Live migrations that come to a host at the same time; 0: no bound.
    incoming_max: int = 0
    #: Seconds of nova's time-outs, by setting; those that are not named are off.
    limits_s: dict[str, int] = field(default_factory=dict)
    #: Seconds per GiB after which a live migration takes too long, and what is done then.
    live_timeout_s: int = 800
    live_timeout_action: str = "abort"
    #: Polls that the copy of a guest's memory takes.
    copy_polls: int = 3
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def read_ahead_records_min(self) -> int:
        """Records of a batch from which on the next are read before its end is known: in half."""
        return 1 if self.batch_records_max in (5, 5_000) else 10_000


def draw_plan(rng: Random) -> Plan:
    """Draw a plan: sizes small more often than big, each class of faults in about a third."""
    rates: dict[str, float] = {}
    share = rng.choice((0.2, 0.4, 0.65))
    for name, (low, high) in CLASSES.items():
        is_on, exponent = rng.random() < share, rng.random()
        if is_on:
            rates[name] = math.exp(math.log(low) + exponent * (math.log(high) - math.log(low)))
    instances = min(rng.randint(3, 25) for _ in range(3))
    return Plan(
        conductors=rng.randint(1, 3),
        hosts=rng.randint(2, 5),
        partitions=rng.randint(1, 4),
        instances=instances,
        steps=rng.randint(500, 1_400),
        request_rate=rng.choice((0.05, 0.1, 0.2)),
        batch_records_max=rng.choice((1, 5, 50, 5_000)),
        step_us=rng.choice((20_000, 200_000, 1_000_000)),
        is_warm=rng.random() < 0.8,
        memory_mb=rng.choice((8_704, 16_896, 33_280)),
        same_host_resize=rng.random() < 0.2,
        confirm_window_s=rng.choice((0, 20, 120)),
        incoming_max=rng.choice((0, 1)),
        limits_s={name: rng.choice((0, 20, 120)) for name in TIME_LIMITS},
        live_timeout_s=rng.choice((800, 8, 12)),
        live_timeout_action=rng.choice(("abort", "force_complete")),
        shelved_offload_time=rng.choice((0, 0, -1, 20)),
        rates=rates,
    )


class Dice:
    """Says what happens, from one seeded source; nothing bad after `heal`."""

    def __init__(self, rng: Random, rates: dict[str, float]) -> None:
        self.rng = rng
        self.rates = rates
        self.is_healing = False
        #: How often each class struck: what a run has shown.
        self.struck: dict[str, int] = {}

    def strikes(self, name: str) -> bool:
        """Say whether a class of faults strikes now."""
        if self.is_healing:
            return False
        rate = self.rates.get(name, 0.0)
        if not rate or self.rng.random() >= rate:
            return False
        self.struck[name] = self.struck.get(name, 0) + 1
        return True
