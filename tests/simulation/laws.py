"""How a law says that it was broken."""

from __future__ import annotations


class Broken(AssertionError):
    """A law of the house was broken; the first word names it."""
