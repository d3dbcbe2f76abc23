"""What has to be there before anything runs: topics with their first rules, and keys for hosts.

Each function leaves things as it says whether it runs for the first or the tenth time. Used by
the commands and by `regente up`, which does all of it by itself.
"""

from __future__ import annotations

from typing import NamedTuple

from events.control import KeyClosed, KeyOpened
from events.log import TopicPartition
from events.nova_wire import notification_specs
from events.ports import Clock, SystemClock
from events.seal import MasterKeyring
from regente.control import Control, Standing, enrolment_of
from regente.places import existing_log, open_log, topics_of
from regente.rules import publication
from regente.settings import Settings
from regente.state_folder import KeyFile, StateError, StateFolder
from statemachines.rules import Rules


class Made(NamedTuple):
    """What `make_topics` did."""

    topics: tuple[str, ...]
    partitions: int
    rules_number: int


def make_topics(settings: Settings, folder: StateFolder, clock: Clock | None = None) -> Made:
    """Leave every shared topic there, with rules in force in each partition.

    Rules that are in force already stay as they are: a difference is for `rules publish`.
    """
    log, topics = open_log(settings, folder), topics_of(settings)
    admin = log.admin()
    try:
        there = {info.name: info for info in admin.topics()}
        known = there.get(topics.instance_events)
        count = settings.partitions if known is None else known.partitions
        if settings.topics.partitions:  # somebody insists: a difference is an error
            count = settings.topics.partitions
        made = admin.create(topics.specs(count))
        if settings.notifications.is_on:
            # One that nova has already stays as it is, however many partitions it has.
            wanted = [
                s for n in settings.notifications.topics for s in notification_specs(n, count)
            ]
            made += admin.create(spec for spec in wanted if spec.name not in there)
    finally:
        admin.close()
    control = Control(log, topics, folder.make_master(), clock or SystemClock())
    in_force = control.in_force()
    if any(rules.number == 0 for rules in in_force.values()):
        control.publish(publication(settings, in_force))
        in_force = control.in_force()
    return Made(made, count, max(rules.number for rules in in_force.values()))


def open_control(settings: Settings, folder: StateFolder, clock: Clock | None = None) -> Control:
    """Return the voice that speaks to every partition of the log that is there."""
    return Control(
        existing_log(settings, folder), topics_of(settings), folder.master(), clock or SystemClock()
    )


def known_rules(settings: Settings, folder: StateFolder) -> dict[TopicPartition, Standing]:
    """Return what the checkpoints say of the rules; nothing where there are none, or no database.

    Only to read less of the log: what it holds behind a checkpoint is folded on top.
    """
    from conductor.bodies import RULES_CODEC
    from projections.sql_store import open_store
    from projections.store import StoreError
    from regente.places import existing_database_url

    try:
        store = open_store(existing_database_url(settings, folder))
    except (StoreError, StateError):
        return {}
    try:
        checkpoints = store.checkpoints()
    finally:
        store.close()
    found = {}
    for each in checkpoints:
        if each.rules:
            rules = RULES_CODEC.decode(each.rules)
            assert isinstance(rules, Rules)
            found[TopicPartition(each.topic, each.partition)] = Standing(each.next_offset, rules)
    return found


def enroll(settings: Settings, folder: StateFolder, host: str) -> KeyFile:
    """Leave a key file of the host, opened in every partition, and its command topic.

    Raises StateError where the host's key file is there already.
    """
    if folder.key_file(host).exists():
        raise StateError(
            f"Expected no key file of {host} yet, but there is {folder.key_file(host)}: it is never"
            " overwritten; remove it to enrol the host again, under a new key."
        )
    master = folder.master()
    log, topics = existing_log(settings, folder), topics_of(settings)
    control = open_control(settings, folder)
    enrolment = 1 + enrolment_of(host, control.in_force(known_rules(settings, folder)))
    key = MasterKeyring(master).key(host, enrolment)
    admin = log.admin()
    try:
        admin.create([topics.command_spec(host)])
    finally:
        admin.close()
    control.publish([KeyOpened(key_id=key.key_id)])
    file = KeyFile(host=host, enrolment=enrolment, key=key, topics=topics.prefix)
    folder.write_key(file)
    return file


def revoke(settings: Settings, folder: StateFolder, host: str, reason: str) -> tuple[str, ...]:
    """Close every open key of a host in every partition, and return their ids."""
    control = open_control(settings, folder)
    in_force = control.in_force(known_rules(settings, folder))
    closing = sorted(
        {
            key
            for rules in in_force.values()
            for key in rules.keys_open
            if key.rpartition("/")[0] == host
            and not all(key in each.keys_closed for each in in_force.values())
        }
    )
    if closing:
        control.publish([KeyClosed(key_id=key, reason=reason) for key in closing])
    return tuple(closing)
