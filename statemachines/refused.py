"""What is refused whatever the state: operations not carried out here, secrets, unknown arguments.

One sentence each, which names the operation. The README lists the operations as the only ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events.requests import ActionRequested
from statemachines.permissions import Refusal
from statemachines.request_arguments import ARGUMENTS, CROSS_CELL, TO_A_HOST

_CONSOLE: Final = (
    "a console is a connection to the guest's host, nothing that happens to an instance"
)
_SHARE: Final = "no driver knows shares"
#: The operations that are not carried out here, and why.
UNSUPPORTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{f"get_{kind}_console": _CONSOLE for kind in ("vnc", "spice", "serial", "mks")},
        "get_console_output": "a console's output is on the guest's host, and no fact",
        "attach_share": _SHARE,
        "detach_share": _SHARE,
    }
)
#: Names under which clients of nova send a password; one that is in the log is there for ever.
SECRETS: Final = frozenset({"adminPass", "admin_pass", "adminPassword", "new_pass", "password"})
#: Characters of a name that is none, as they are repeated to whoever asked.
NAME_MAX: Final = 60


def never_taken(fact: ActionRequested) -> Refusal | None:
    """Return why a request is refused whatever the state; None where the state decides.

    The action is one of nova's.
    """
    why = UNSUPPORTED.get(fact.action)
    if why is not None:
        return Refusal("unsupported", f"Regente does not carry out {fact.action}: {why}.")
    if not fact.arguments.keys() <= ARGUMENTS[fact.action]:
        return _too_much(fact)
    if fact.host is not None and fact.action not in TO_A_HOST:
        return Refusal(
            "bad-request",
            f"Expected no host in a request for {fact.action}, but it names {fact.host}.",
        )
    if fact.arguments.get(CROSS_CELL) == "true":
        return Refusal(
            "unsupported",
            f"Regente does not carry out a cross-cell {fact.action}: it knows one cell.",
        )
    return None


def _too_much(fact: ActionRequested) -> Refusal:
    """Say which argument is a secret, or is none of the action's."""
    found = sorted(SECRETS & fact.arguments.keys())
    if found:
        return Refusal(
            "secret",
            f"Expected no secret in a request for {fact.action}, but it names {found[0]}: "
            "what is in the log stays there; refer to it by secret_ref.",
        )
    known = ", ".join(sorted(ARGUMENTS[fact.action])) or "no argument"
    odd = min(fact.arguments.keys() - ARGUMENTS[fact.action])
    return Refusal(
        "bad-request",
        f"Expected {known} in a request for {fact.action}, but it names {odd[:NAME_MAX]!r}.",
    )
