"""Records of the log as people read them: decoded as far as they can be, with what the seals say.

It believes nothing: a record that is no fact of ours is shown with the reason. Nothing is folded
and nothing judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from events.codec import decode_command, decode_fact
from events.errors import BadRecord
from events.log import LogReader, Record, TopicPartition
from events.seal import Key, Keyring, MasterKeyring, command_key, key_id_in, unseal
from events.topics import Topics, partition_of

POLL_RECORDS: Final = 1_000
POLL_S: Final = 0.5

Document = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which records are wanted; None leaves a side open."""

    topics: tuple[str, ...]
    partition: int | None = None
    #: Offsets of each partition, or µs UTC of the log's clock: from, and up to without.
    from_offset: int | None = None
    to_offset: int | None = None
    from_us: int | None = None
    to_us: int | None = None
    key: str | None = None

    def has(self, record: Record) -> bool:
        """Say whether a record at a wanted offset is wanted."""
        if self.key is not None and record.key != self.key.encode():
            return False
        if self.from_us is not None and record.timestamp_us < self.from_us:
            return False
        return self.to_us is None or record.timestamp_us < self.to_us


class CommandKeys:
    """The keyring of commands, as the relay has it."""

    def __init__(self, master: MasterKeyring) -> None:
        self._master = master

    def secret(self, key_id: str) -> bytes | None:
        """Return the secret under which commands to the holder of a key are sealed."""
        secret = self._master.secret(key_id)
        return None if secret is None else command_key(Key(key_id, secret)).secret


def records(reader: LogReader, window: Window) -> Iterator[Record]:
    """Yield the wanted records up to the ends seen now, one partition after the other."""
    for topic in window.topics:
        count = reader.topic(topic).partitions
        chosen = range(count) if window.partition is None else [window.partition]
        if window.key is not None and window.partition is None:
            chosen = [partition_of(window.key, count)]
        for partition in chosen:
            yield from _of(reader, TopicPartition(topic, partition), window)


def _of(reader: LogReader, at: TopicPartition, window: Window) -> Iterator[Record]:
    begin, end = reader.begin_offsets([at])[at], reader.end_offsets([at])[at]
    start = begin if window.from_offset is None else max(begin, window.from_offset)
    stop = end if window.to_offset is None else min(end, window.to_offset)
    if start >= stop:
        return
    reader.assign({at: start})
    position = start
    while position < stop:
        for record in reader.poll(POLL_RECORDS, POLL_S):
            position = record.offset + 1
            if record.offset < stop and window.has(record):
                yield record


def said_last(reader: LogReader, window: Window, fact: str) -> tuple[int, Document] | None:
    """Return the newest fact of a name in a window, as plain values, and when the log got it."""
    found: tuple[int, Document] | None = None
    for record in records(reader, window):
        content = _content(record, is_command=False)
        if content["fact"] == fact and isinstance(content["payload"], dict):
            found = record.timestamp_us, content["payload"]
    return found


def document(record: Record, topics: Topics, master: MasterKeyring | None) -> Document:
    """Return a record as plain values: position, time, key, source, fact, payload, meta, seal."""
    is_command = record.topic.startswith(topics.commands(""))
    keyring: Keyring | None = master
    if master is not None and is_command:
        keyring = CommandKeys(master)
    found: Document = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_us": record.timestamp_us,
        "key": None if record.key is None else record.key.decode("utf-8", "backslashreplace"),
        "key_id": key_id_in(record.headers),
    }
    found |= _content(record, is_command=is_command)
    found["verification"] = _verified(record, keyring, str(found["reason"] or ""))
    del found["reason"]
    return found


def _content(record: Record, *, is_command: bool) -> Document:
    head = "address" if is_command else "meta"
    nothing: Document = {"source": None, "fact": None, "payload": None, head: None}
    if record.value is None:
        return nothing | {"reason": "tombstone: there is no value"}
    try:
        if is_command:
            letter = decode_command(record.value)
            said: object = letter.command
            about: object = letter.address
            source: object = "conductor"
        else:
            meta, said = decode_fact(record.value)
            about, source = meta, meta.source
    except BadRecord as bad:
        shown = {"bytes": record.value[:64].hex(), "length": len(record.value)}
        return nothing | {"payload": shown, "reason": f"{bad.code}: {bad.sentence}"}
    return {
        "source": source,
        "fact": type(said).__name__,
        "payload": plain(said),
        head: plain(about),
        "reason": None,
    }


def _verified(record: Record, keyring: Keyring | None, unreadable: str) -> Document:
    if keyring is None:
        return {"ok": None, "reason": "no master key here"}
    try:
        unseal(record, keyring)
    except BadRecord as bad:
        return {"ok": False, "reason": f"{bad.code}: {bad.sentence}"}
    return {"ok": not unreadable, "reason": unreadable or None}


def plain(value: object) -> object:
    """Return a value of the log as JSON can say it: bytes as hex."""
    if isinstance(value, Struct):
        return plain(asdict(value))
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [plain(each) for each in value]
    return value
