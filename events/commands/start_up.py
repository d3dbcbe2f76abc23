"""What a host is asked when it has started, or counts its guests otherwise than the rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LookForGuest:
    """Look whether the guest is here, and touch nothing."""
