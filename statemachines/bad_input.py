"""What is wrong with what a request names: a flavor or host nobody knows, a host one can't go to.

The fold may not look at hosts or flavors, so a request carries what the API saw of them; here that
becomes a word for programs and nova's sentence for people. What the API could not see, because it
came about a moment later, the scheduler finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events.requests import ActionRequested
from statemachines.held import Held
from statemachines.permissions import Refusal

_WITH_FLAVOR: Final = frozenset({"create", "resize"})

#: Nova's sentence for a destination that is the instance's own host; other actions may name it.
_OWN_HOST: Final[Mapping[str, str]] = MappingProxyType(
    {
        "live_migrate": "Unable to migrate instance ({instance}) to current host ({host}).",
        "migrate": "Cannot migrate to the host where the server exists.",
        "evacuate": "The target host can't be the same one.",
    }
)

_SEEN: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "unknown": ("unknown-host", "Compute host {host} could not be found."),
        "down": ("target-down", "Compute service of {host} is unavailable at this time."),
        "full": (
            "host-full",
            "Unable to move instance {instance} to host {host}. There is not enough capacity on "
            "the host for the instance.",
        ),
    }
)


def bad_input(held: Held | None, fact: ActionRequested) -> Refusal | None:
    """Return what is wrong with what a request names; None where nothing is."""
    flavor = fact.arguments.get("flavor")
    if fact.action in _WITH_FLAVOR and fact.flavor is None and flavor:
        return Refusal("unknown-flavor", f"Flavor {flavor} could not be found.")
    if fact.host is None:
        return None
    instance = "" if held is None else held.instance_id
    own = _OWN_HOST.get(fact.action)
    if own is not None and held is not None and fact.host == held.host:
        return Refusal("same-host", own.format(instance=instance, host=fact.host))
    if fact.host_seen in _SEEN:
        code, sentence = _SEEN[fact.host_seen]
        return Refusal(code, sentence.format(instance=instance, host=fact.host))
    return None
