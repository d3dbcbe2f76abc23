"""The survey: asks after the guests of a host that started, or that counts them otherwise.

A host reports each guest that it finds; what it does not find it can't name. So every instance
that is on it by the rows is doubted, each by a fact about itself, and what the host answers is a
fact too: nothing is corrected in silence. A digest that differs is looked at twice, for a fact may
be on its way; as long as an operation is under way on the host, it is left to the next digest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from conductor import limits
from conductor.office import Office
from events.log import TopicPartition
from events.node import NodeSurveyed
from events.start_up import GuestDoubted
from events.topics import partition_of
from projections.survey_rows import GuestRecorded, HostSurvey

_Fact = tuple[TopicPartition, str, object]


class _Page(NamedTuple):
    """What is said of a host in one turn: of all its guests, or of the next ones."""

    host: HostSurvey
    number: int
    facts: list[_Fact]
    #: The guest behind which the next page begins; None where this one is the last.
    last: str | None


class Survey:
    """Surveys the hosts whose node partitions are ours."""

    def __init__(self, office: Office) -> None:
        self._store = office.ports.store
        self._speaker = office.speaker
        self._topics = office.ports.topics
        self._clock = office.ports.clock
        self._owned = office.owned
        self._next_look_s = 0.0
        #: host → (enrolment, number) of its fact that needs no look any more, told or equal.
        self._seen_to: dict[str, tuple[int, int]] = {}
        #: host → number of a digest that differs, and since when (seconds of our clock).
        self._differs: dict[str, tuple[int, float]] = {}
        #: host → the guest behind which the next doubts follow.
        self._after: dict[str, str] = {}
        #: The host behind which the next look begins; "" begins with the first.
        self._behind = ""

    def turn(self) -> bool:
        """Look at a bounded number of hosts, doubt a bounded number of guests; say if any."""
        acting = {tp.partition for tp in self._owned.acting(self._topics.node_events)}
        now_s = self._clock.monotonic_s()
        if not acting or now_s < self._next_look_s:
            return False
        count = self._partitions()
        hosts, behind = self._due(acting, count, now_s)
        pages, unread = self._pages(hosts, count)
        # All at once: each append waits for its acknowledgement, and thousands of hosts may start.
        self._speaker.say([fact for page in pages for fact in page.facts])
        for page in pages:
            self._turn_over(page)
        if unread is None:
            self._behind = behind
        elif unread > 0:
            self._behind = hosts[unread - 1].host
        # Where something was said, the next turn goes on with the others.
        self._next_look_s = now_s if pages else now_s + limits.SLOW_LOOK_S
        return bool(pages)

    def _due(
        self, acting: Collection[int], partitions: int, now_s: float
    ) -> tuple[list[HostSurvey], str]:
        """Return the next hosts of ours that need a look, and behind which host to go on then."""
        read = self._store.surveys(self._behind, limits.HOSTS_READ_MAX)
        due = [
            host
            for host in read
            if partition_of(host.host, partitions) in acting and not self._rests(host, now_s)
        ]
        if len(due) > limits.SURVEYED_HOSTS_MAX:
            due = due[: limits.SURVEYED_HOSTS_MAX]
            return due, due[-1].host
        return due, read[-1].host if len(read) == limits.HOSTS_READ_MAX else ""

    def _pages(
        self, hosts: Sequence[HostSurvey], partitions: int
    ) -> tuple[list[_Page], int | None]:
        """Return what is to be said of hosts, and the number of the first that is not done."""
        if not hosts:
            return [], None
        guests = self._store.guests_of([each.host for each in hosts])
        left, pages = limits.DOUBTS_MAX, list[_Page]()
        for number, host in enumerate(hosts):
            if left <= 0:
                return pages, number
            page = self._look(host, guests.get(host.host, ()), partitions, left)
            if page is not None:
                pages.append(page)
                left -= len(page.facts)
                if page.last is not None:
                    return pages, number
        return pages, None

    def _partitions(self) -> int:
        fold = next(iter(self._owned.partitions.values())).fold
        return fold.rules.partitions

    def _rests(self, host: HostSurvey, now_s: float) -> bool:
        """Say whether a host needs no look now: it was seen to, or facts may be on their way."""
        started, number = _subject(host)
        if self._seen_to.get(host.host) == (host.enrolment, number):
            return True
        differing, since_s = self._differs.get(host.host, (0, now_s))
        is_new = started or differing != number
        return not is_new and now_s - since_s < limits.DIGEST_SETTLES_S

    def _look(
        self, host: HostSurvey, guests: Sequence[GuestRecorded], partitions: int, limit: int
    ) -> _Page | None:
        """Return what is to be said of the guests of a host; None where there is no reason."""
        started, number = _subject(host)
        if not started and not self._differs_for_good(host, guests):
            return None
        after = self._after.get(host.host, "")
        page = [guest for guest in guests if guest.uuid > after][:limit]
        facts: list[_Fact] = [
            (self._at(self._topics.instance_events, each.uuid, partitions), each.uuid, fact)
            for each in page
            for fact in (_doubt(host, number, started=started),)
        ]
        is_last = not page or page[-1].uuid == guests[-1].uuid
        if is_last:
            surveyed = NodeSurveyed(sequence=number, doubted_count=len(guests))
            at = self._at(self._topics.node_events, host.host, partitions)
            facts.append((at, host.host, surveyed))
        return _Page(host, number, facts, None if is_last else page[-1].uuid)

    def _turn_over(self, page: _Page) -> None:
        """Go on behind a page that the log has."""
        if page.last is None:
            self._done(page.host, page.number)
        else:
            self._after[page.host.host] = page.last

    def _differs_for_good(self, host: HostSurvey, guests: Sequence[GuestRecorded]) -> bool:
        """Say whether a digest still differs after what was on its way has had time to come.

        A host that was seen to differ rests for that time, and is looked at again only then.
        """
        if host.host in self._after:
            return True
        if any(guest.is_busy for guest in guests) or digest_of(guests) == host.digest:
            self._done(host, host.digest_sequence)
            return False
        number, _ = self._differs.get(host.host, (0, 0.0))
        if number != host.digest_sequence:
            self._differs[host.host] = (host.digest_sequence, self._clock.monotonic_s())
            return False
        return True

    def _done(self, host: HostSurvey, number: int) -> None:
        self._seen_to[host.host] = (host.enrolment, number)
        self._differs.pop(host.host, None)
        self._after.pop(host.host, None)

    def _at(self, topic: str, key: str, partitions: int) -> TopicPartition:
        return TopicPartition(topic, partition_of(key, partitions))


def _subject(host: HostSurvey) -> tuple[bool, int]:
    """Say whether a host's start is to be seen to, else its digest, and which number it has."""
    started = host.start_sequence > host.surveyed_sequence
    return started, host.start_sequence if started else host.digest_sequence


def digest_of(guests: Iterable[GuestRecorded]) -> str:
    """Return the digest that a host would say if it had exactly the guests that the rows have."""
    lines = sorted(f"{each.uuid} {each.power_state}\n" for each in guests if each.power_state)
    return sha256("".join(lines).encode()).hexdigest()


def _doubt(host: HostSurvey, number: int, *, started: bool) -> GuestDoubted:
    return GuestDoubted(
        host=host.host,
        enrolment=host.enrolment,
        boot_epoch=host.boot_epoch,
        sequence=number,
        started=started,
    )
