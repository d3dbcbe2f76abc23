"""Copies of frozen values with some fields changed; see `events.values`, which makes them fast."""

from __future__ import annotations

from events.values import replace

__all__ = ["replace"]
