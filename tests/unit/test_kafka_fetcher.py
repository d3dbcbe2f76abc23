"""Which client fetches, and what it is told: no broker is asked here."""

from __future__ import annotations

import sys

import pytest

from events.errors import LogError
from events.kafka_log import KafkaLog, KafkaOptions
from events.kafka_log.librdkafka import settings_of
from regente.places import kafka_options
from regente.settings import Conductor, Kafka, Settings


def test_settings_of_the_client_reach_librdkafka_in_its_own_words() -> None:
    options = KafkaOptions(
        bootstrap="a:1,b:2",
        client={
            "security_protocol": "SASL_SSL",
            "ssl_cafile": "/ca.pem",
            "ssl_check_hostname": False,
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": "conductor",
            "sasl_plain_password": "secret",
        },
    )

    found = settings_of(options)

    assert found["bootstrap.servers"] == "a:1,b:2"
    assert found["security.protocol"] == "SASL_SSL"
    assert found["ssl.ca.location"] == "/ca.pem"
    assert found["ssl.endpoint.identification.algorithm"] == "none"
    assert found["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (found["sasl.username"], found["sasl.password"]) == ("conductor", "secret")


def test_nothing_is_reset_or_committed_behind_our_back() -> None:
    found = settings_of(KafkaOptions(bootstrap="a:1"))

    assert found["auto.offset.reset"] == "error"
    assert found["enable.auto.commit"] is False
    assert found["check.crcs"] is True


def test_a_setting_without_a_word_there_is_refused_by_name() -> None:
    options = KafkaOptions(bootstrap="a:1", client={"ssl_context": "x"}, fetcher="librdkafka")

    with pytest.raises(LogError, match=r"Expected \[kafka\] client to hold .* but got ssl_context"):
        KafkaLog(options).reader()


def test_a_fetcher_that_is_not_installed_is_asked_for_by_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "events.kafka_log.librdkafka")
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)

    with pytest.raises(LogError, match=r"install regente\[librdkafka\]"):
        KafkaLog(KafkaOptions(bootstrap="a:1", fetcher="librdkafka")).reader()


@pytest.mark.parametrize("fetcher", ["kafka-python", "librdkafka"])
def test_the_operator_chooses_the_fetcher(fetcher: str) -> None:
    kafka = Kafka.model_validate({"bootstrap_servers": "a:1", "fetcher": fetcher})

    options = kafka_options(Settings(conductor=Conductor(), kafka=kafka))

    assert options.fetcher == fetcher
