"""Writing the rules: control records to every partition of the event topics.

`topics create` writes the first ones, `rules publish` what differs, `node enroll` and `node
revoke` open and close keys. A conductor obeys what is in the log; this is only the pen.
"""

from __future__ import annotations

from collections.abc import Mapping

from conductor.speaker import Speaker
from events.codec import fingerprints
from events.control import KeyClosed, KeyOpened, RulesPublished
from events.envelope import API, CONDUCTOR, NOVA
from events.log import LogReader, TopicPartition
from events.topics import CONTROL_KEY, Topics
from statemachines.rules import SETTINGS, Rules
from statemachines.sagas import SAGAS

#: Keys of the control plane, opened with the first rules.
PLANE_KEYS = (f"{API}/1", f"{CONDUCTOR}/1", f"{NOVA}/1")
#: Version of the arrows of the instance machine.
MACHINE_VERSION = 1


def versions() -> dict[str, str]:
    """Return the versions of the tables that this code follows."""
    return {
        "instance": str(MACHINE_VERSION),
        **{name: str(table.version) for name, table in sorted(SAGAS.items())},
    }


def of_this_installation(number: int, settings: Mapping[str, str]) -> RulesPublished:
    """Return the rules that this code and these settings ask for, under a number."""
    return RulesPublished(
        number=number,
        versions=versions(),
        settings={name: str(settings.get(name, default)) for name, default in SETTINGS.items()},
        fingerprints=fingerprints(),
    )


def foreign(rules: Rules) -> tuple[str, ...]:
    """Name what is in force and unknown to this code: it may not fold then."""
    known = versions()
    return tuple(
        f"{name} version {value}"
        for name, value in sorted(rules.versions.items())
        if name not in known or not value.isdecimal() or int(value) > int(known[name])
    )


class Rulebook:
    """Says rules in every partition of the event topics."""

    def __init__(self, *, speaker: Speaker, reader: LogReader, topics: Topics) -> None:
        self._speaker = speaker
        self._reader = reader
        self._topics = topics

    def partitions(self) -> list[TopicPartition]:
        """Return every partition that carries control records."""
        return [
            TopicPartition(topic, p)
            for topic in (self._topics.instance_events, self._topics.node_events)
            for p in range(self._reader.topic(topic).partitions)
        ]

    def say(self, fact: RulesPublished | KeyOpened | KeyClosed) -> None:
        """Leave the fact in every partition; raises LogUnavailable."""
        value = self._speaker.encode(CONTROL_KEY, fact)
        self._speaker.tell(
            [self._speaker.message(tp, CONTROL_KEY, value) for tp in self.partitions()]
        )

    def begin(self, settings: Mapping[str, str]) -> None:
        """Write the first rules, where the log has none yet."""
        ends = self._reader.end_offsets(self.partitions())
        if any(ends.values()):
            return
        for key_id in PLANE_KEYS:
            self.say(KeyOpened(key_id=key_id))
        self.say(of_this_installation(1, settings))
