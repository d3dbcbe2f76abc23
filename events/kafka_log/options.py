"""What can be set about the brokers, and what we set for everybody, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

#: What `create` asks of a topic besides partitions and retention. Uncompressed: the broker unpacks
#: what a producer packed, and refuses what is too large then, so that no reader meets a bomb.
TOPIC_SETTINGS: Final = {
    "cleanup.policy": "delete",
    "compression.type": "uncompressed",
    "message.timestamp.type": "LogAppendTime",
    "retention.bytes": "-1",
}

#: Every record that we would read fits into one message of this size; brokers' own default.
MESSAGE_BYTES_MAX: Final = 1_048_576
#: What the client fetches ahead of each partition: more than its part of a batch, and no more,
#: for all of it is held in memory.
PARTITION_FETCH_BYTES: Final = 2 << 20
BATCH_BYTES: Final = 128 << 10
POLL_RECORDS_MAX: Final = 10_000
FETCH_WAIT_MS: Final = 20
LINGER_MS: Final = 5
#: A member that is handed fewer records looks once more, for so many seconds, for what came since.
FEW_RECORDS: Final = 100
MORE_S: Final = 0.001
#: librdkafka: how long a fetch may wait at the broker, and one that found the queue full for room.
WAIT_MS: Final = 100
QUEUE_LOOK_MS: Final = 2
#: What it may hold ahead, KiB of all partitions: two batches of usual facts.
QUEUE_KIB: Final = 16 << 10
#: How often the other client looks for news of the group, s.
GROUP_LOOK_S: Final = 0.05
#: A topic that was made again is noticed after at most this long, even if nobody tells us.
METADATA_AGE_MS: Final = 30_000
#: Between two questions of a client where topics and leaders are: it knows the brokers first, and
#: what it is asked for it looks up with the second. 100 by default, which a command would wait for.
ASK_AGAIN_MS: Final = 20
#: Seconds that a member may be given nothing before it joins again, doubled up to the second.
PATIENCE_S: Final = 3.0
PATIENCE_MAX_S: Final = 300.0
#: A poll looks for news of the group at least this often.
SLICE_S: Final = 0.1


#: Clients that can fetch; the second comes with the extra of its name.
Fetcher = Literal["kafka-python", "librdkafka"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """Where the brokers are, and how long we wait for them."""

    bootstrap: str
    #: After this an append that nobody acknowledged ends as LogUnavailable.
    append_timeout_s: float = 10.0
    #: After this any other question that nobody answered ends as LogUnavailable.
    answer_timeout_s: float = 10.0
    #: A member that is silent for so long is taken for dead, and its partitions go to others.
    session_timeout_s: float = 10.0
    #: A member that doesn't poll for so long is taken for stuck; a batch takes less by far.
    poll_interval_max_s: float = 300.0
    #: Replicas of the topics that we make; -1 leaves it to the brokers.
    replication: int = -1
    #: Who fetches records.
    fetcher: Fetcher = "kafka-python"
    #: More of the client's own settings: `security_protocol`, `ssl_cafile`, `sasl_mechanism` …
    client: Mapping[str, object] = field(default_factory=dict)
