"""Copies of frozen values with some fields changed.

Every value of the house that is made for a fact (states, facts, notes, envelopes) is a
`msgspec.Struct`: frozen, without a dictionary, and made and copied in compiled code. To the type
checker a copy is what `dataclasses.replace` makes of it, which knows the fields and their types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import replace
else:
    from msgspec.structs import replace

__all__ = ["replace"]
