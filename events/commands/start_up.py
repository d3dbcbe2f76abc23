"""What a host is asked when it has started, or counts its guests otherwise than the rows."""

from __future__ import annotations

from msgspec import Struct


class LookForGuest(Struct, frozen=True, kw_only=True, gc=False):
    """Look whether the guest is here, and touch nothing."""
