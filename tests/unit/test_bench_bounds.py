"""A measure ends within its bound, and takes its child processes with it."""

from __future__ import annotations

import signal
import subprocess
import threading
from multiprocessing import get_context

import pytest

from bench.bounds import TooLong, bounded


def test_a_measure_that_waits_for_a_child_ends_at_its_bound_and_so_does_the_child() -> None:
    """Without the child's end the one who joins it would wait for ever."""
    never = threading.Event()
    child = get_context("fork").Process(target=never.wait)
    child.start()

    def measure() -> None:
        try:
            never.wait()
        finally:
            child.join()

    with pytest.raises(TooLong, match=r"within 0\.05 s"), bounded(0.05):
        measure()

    assert child.exitcode == -signal.SIGKILL


def test_a_measure_within_its_bound_leaves_the_bound_around_it() -> None:
    """Neither its own alarm is left behind, nor is another's taken away."""
    never = threading.Event()

    def outer() -> None:
        with bounded(60):
            pass
        never.wait()

    with pytest.raises(TooLong, match=r"within 0\.05 s"), bounded(0.05):
        outer()


def test_what_a_measure_raises_itself_is_what_is_heard() -> None:
    """A bound hides no other error."""
    before = signal.getsignal(signal.SIGALRM)

    with pytest.raises(subprocess.SubprocessError), bounded(60):
        raise subprocess.SubprocessError

    assert signal.getsignal(signal.SIGALRM) is before
