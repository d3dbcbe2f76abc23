"""What can be wrong with bytes and with the log that carries them.

    EventsError
    ├── BadRecord            their bytes: quarantined with a reason, the partition goes on
    └── LogError             the world
        ├── LogUnavailable   retriable: broker or file away; an append may or may not have happened
        ├── PositionLost     the offset asked for is no longer, or not yet, in the log
        ├── LogRecreated     the topic is not the one that was read before
        ├── UnknownTopic     the topic does not exist
        └── TopicMismatch    the topic exists with other partitions or settings than expected

A class's docstring is its default message; whether a retry may help is an attribute of the class.
"""

from __future__ import annotations


class EventsError(Exception):
    """Something is wrong with the log or with what is in it."""

    retriable = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class BadRecord(EventsError):
    """The record can't be taken for a fact of ours; `code` is the stable reason."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class LogError(EventsError):
    """The log did not do what was asked."""


class LogUnavailable(LogError):
    """The log did not answer; what was being appended may or may not be in it."""

    retriable = True


class PositionLost(LogError):
    """The log does not hold the position that was asked for."""

    def __init__(
        self, message: str | None = None, *, topic: str = "", partition: int = -1, offset: int = -1
    ) -> None:
        super().__init__(message)
        self.topic = topic
        self.partition = partition
        self.offset = offset


class LogRecreated(LogError):
    """The topic is not the one that was read before."""


class UnknownTopic(LogError):
    """The topic does not exist."""


class TopicMismatch(LogError):
    """The topic has other partitions or settings than expected."""
