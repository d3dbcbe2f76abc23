"""What ends a conductor: no retry helps, a person has to act. One sentence each, no traceback.

`regente conductor` ends with exit status 2 on any of them, after it has left the group.
"""

from __future__ import annotations


class ConductorError(Exception):
    """The conductor may not go on."""

    retriable = False


class ForeignRules(ConductorError):
    """Rules are in force in a partition that this code does not know: it may not fold it."""
