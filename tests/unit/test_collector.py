"""When the collector of cycles looks."""

from __future__ import annotations

import gc
import weakref

from conductor.collector import (
    MIDDLE_AGED,
    YOUNG_BETWEEN_MAX,
    YOUNG_MAX,
    collect_between,
    collected_seldom,
)


class Ring:
    """Something that only the collector frees."""

    def __init__(self) -> None:
        self.me = self


def test_the_collector_is_as_before_when_a_command_has_folded() -> None:
    before = gc.get_threshold(), gc.get_freeze_count()

    with collected_seldom():
        within = gc.get_threshold()[0], gc.get_freeze_count() > 0

    assert within == (YOUNG_MAX, True)
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def containers() -> list[list[int]]:
    """Return as many new containers as are enough for a look."""
    return [[n] for n in range(YOUNG_BETWEEN_MAX)]


def test_between_batches_it_frees_what_is_in_cycles_once_there_is_enough() -> None:
    with collected_seldom():
        ring = weakref.ref(Ring())
        collect_between()
        was_there = ring() is not None
        alive = containers()
        collect_between()

    assert was_there  # A look was not worth it yet.
    assert ring() is None
    assert alive


def test_it_looks_at_what_outlived_a_look_too_by_and_by() -> None:
    with collected_seldom():
        ring = Ring()
        gone = weakref.ref(ring)
        gc.collect(0)  # From now on it is no young one.
        del ring
        alive = []
        for _ in range(MIDDLE_AGED + 2):
            alive.append(containers())
            collect_between()

        assert gone() is None
