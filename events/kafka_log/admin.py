"""Topics on Kafka: made as they have to be, and described as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kafka import errors as broken
from kafka.admin import ConfigResource, KafkaAdminClient

from events.kafka_log.client import answering, connected, milliseconds
from events.kafka_log.options import TOPIC_SETTINGS, KafkaOptions
from events.log import TopicInfo
from events.positions import check_partitions
from events.topics import TopicSpec


class KafkaAdmin:
    """Makes and lists the topics of Kafka."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._client: Any = None

    def create(self, specs: Iterable[TopicSpec]) -> tuple[str, ...]:
        """Make the topics that are missing and return their names, once they can be used."""
        there = {info.name: info for info in self.topics()}
        missing: dict[str, TopicSpec] = {}
        for spec in specs:
            if spec.name in there:
                check_partitions(spec, there[spec.name].partitions)
            else:
                missing[spec.name] = spec
        return tuple(name for name in missing if self._create(missing[name]))

    def topics(self) -> tuple[TopicInfo, ...]:
        """Describe every topic that isn't Kafka's own."""
        with answering("list topics"):
            found = [t for t in self._ready().describe_topics() if not t["is_internal"]]
        retentions = self._settings([topic["name"] for topic in found])
        return tuple(sorted(_info(topic, retentions.get(topic["name"], {})) for topic in found))

    def topic(self, name: str) -> TopicInfo:
        """Describe a topic; raises UnknownTopic."""
        with answering(f"describe topic {name}"):
            (found,) = self._ready().describe_topics([name])
            if broken.for_code(found["error_code"]) is not broken.NoError:
                raise broken.for_code(found["error_code"])(name)
        return _info(found, self.settings(name))

    def settings(self, name: str) -> Mapping[str, str]:
        """Return every setting in force of a topic, under Kafka's names."""
        return self._settings([name])[name]

    def close(self) -> None:
        """Release the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ready(self) -> Any:
        if self._client is None:
            timeout_ms = milliseconds(self._options.answer_timeout_s)
            self._client = connected(KafkaAdminClient, self._options, request_timeout_ms=timeout_ms)
        return self._client

    def _create(self, spec: TopicSpec) -> bool:
        settings = TOPIC_SETTINGS | {"retention.ms": str(spec.retention_ms)}
        with answering(f"make topic {spec.name}"):
            try:
                self._ready().create_topics(
                    {
                        spec.name: {
                            "num_partitions": spec.partitions,
                            "replication_factor": self._options.replication,
                            "configs": settings,
                        }
                    },
                    wait_for_metadata=True,
                )
            except broken.TopicAlreadyExistsError:  # somebody was quicker
                check_partitions(spec, self.topic(spec.name).partitions)
                return False
        return True

    def _settings(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        with answering("describe topics"):
            found = self._ready().describe_configs(
                [ConfigResource("topic", name) for name in names], config_filter="all"
            )
        return {
            name: {key: str(setting["value"]) for key, setting in settings.items()}
            for name, settings in found["topic"].items()
        }


def _info(topic: Mapping[str, Any], settings: Mapping[str, str]) -> TopicInfo:
    return TopicInfo(
        topic["name"],
        str(topic["topic_id"]),
        len(topic["partitions"]),
        int(settings.get("retention.ms", -1)),
    )
