"""The rules in force in one partition, folded from its control records.

What the judge and the sagas may know besides the state and the fact: settings, keys that are open,
schemas admitted. Versions of tables are numbers in the same record.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from events.control import KeyClosed, KeyOpened, RulesPublished
from events.values import replace

#: The settings that the heart uses, with nova's names, units and defaults where nova has them.
SETTINGS: Final[dict[str, str]] = {
    # Hosts to try after the first in a live migration: -1 until none is left, 0 once.
    "migrate_max_retries": "-1",
    # Attempts for build, resize and cold migration ([scheduler] max_attempts).
    "max_attempts": "3",
    "allow_resize_to_same_host": "false",
    # Start guests that should run when their host is found to have started.
    "resume_guests_state_on_host_boot": "false",
    # Seconds until it comes by itself (`statemachines.dues`). 0: never.
    "resize_confirm_window": "0",
    # Seconds that a shelved guest stays on its host: 0 not at all, -1 until it is asked.
    "shelved_offload_time": "0",
    # Seconds that a deleted guest can be restored. 0: a delete is for good.
    "reclaim_instance_interval": "0",
    # Seconds that a rescue, or a soft reboot, may last: then it is undone, or done the hard way.
    "rescue_timeout": "0",
    "reboot_timeout": "0",
    # Seconds until what a report of power left undone is seen to. Below 0: never.
    "sync_power_state_interval": "600",
    # Is a report of power that nobody asked for answered at once?
    "handle_virt_lifecycle_events": "true",
    # Seconds. 0 means no bound of its own: the ceiling step_max_s applies.
    "instance_build_timeout": "0",
    "long_rpc_timeout": "1800",
    "live_migration_completion_timeout": "800",
    # What that time-out does: `abort` or `force_complete`.
    "live_migration_timeout_action": "abort",
    "live_migration_queue_timeout": "0",
    "move_timeout": "0",
    "step_timeout": "600",
    # The ceiling of every wait (ours: nova has none).
    "step_max_s": "7200",
}

#: How old a request may be when the log gets it; older ones are refused, their ids forgotten.
REQUEST_AGE_US: Final = 3_600_000_000


class Rules(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """What is in force from here on in a partition."""

    number: int = 0
    partitions: int = 1
    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=lambda: dict(SETTINGS))
    #: None until the first publication: everything this code knows is admitted.
    fingerprints: frozenset[str] | None = None
    keys_open: frozenset[str] = frozenset()
    keys_closed: frozenset[str] = frozenset()

    def number_of(self, setting: str) -> int:
        """Return a setting as a whole number; the default where the log does not set it."""
        return int(self.settings.get(setting) or SETTINGS[setting])

    def word_of(self, setting: str) -> str:
        """Return a setting as it is written."""
        return self.settings.get(setting) or SETTINGS[setting]

    def allows(self, setting: str) -> bool:
        """Return a setting as yes or no."""
        return self.settings.get(setting, SETTINGS[setting]).lower() in ("true", "1", "yes")

    def deadline_s(self, setting: str, gib: int = 1) -> int:
        """Return the seconds that a step may take; the ceiling where the setting says 0."""
        return self.number_of(setting) * gib or self.number_of("step_max_s")

    def admits(self, fingerprint: str) -> bool:
        """Say whether facts of this schema may be folded yet."""
        return self.fingerprints is None or fingerprint in self.fingerprints

    def is_open(self, key_id: str) -> bool:
        """Say whether records under this key are believed."""
        return key_id in self.keys_open and key_id not in self.keys_closed


def evolve(rules: Rules, fact: RulesPublished | KeyOpened | KeyClosed) -> Rules:
    """Return the rules after a control record."""
    match fact:
        case RulesPublished():
            if fact.number <= rules.number:
                return rules
            return replace(
                rules,
                number=fact.number,
                versions=fact.versions,
                settings={**SETTINGS, **fact.settings},
                fingerprints=frozenset(fact.fingerprints) or None,
            )
        case KeyOpened():
            return replace(rules, keys_open=rules.keys_open | {fact.key_id})
        case KeyClosed():
            return replace(rules, keys_closed=rules.keys_closed | {fact.key_id})
