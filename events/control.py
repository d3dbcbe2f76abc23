"""The rules in force, as records in every partition: what the fold obeys besides the facts.

Key `control`, written by `conductor` with sequence 0. A conductor obeys these, not its own files.
"""

from __future__ import annotations

from msgspec import Struct, field


class RulesPublished(Struct, frozen=True, kw_only=True, gc=False):
    """From here on these versions, settings and schemas are in force."""

    #: Rises by one with each publication.
    number: int
    #: Versions of the machine and of each saga: `{"instance": "1", "resize": "1", …}`.
    versions: dict[str, str] = field(default_factory=dict)
    #: Settings that the heart uses, in their own units, as text.
    settings: dict[str, str] = field(default_factory=dict)
    #: Fingerprints of the schemas admitted, lower-case hex of the 8 bytes on the wire.
    fingerprints: tuple[str, ...] = ()


class KeyOpened(Struct, frozen=True, kw_only=True, gc=False):
    """From here on records under this key are believed."""

    #: `<name>/<enrolment>`: a host, or `api`, `conductor`, `nova`.
    key_id: str


class KeyClosed(Struct, frozen=True, kw_only=True, gc=False):
    """From here on records under this key are refused; keys are never deleted."""

    key_id: str
    reason: str
