"""What must hold when a healed cloud has come to rest: rows, log and world say the same.

Each function returns the laws that it found broken, as sentences that begin with the law's name.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from compute.fake_attachments import attached_on, holds
from compute.hypervisor import PowerState
from compute.world import PRESENT, Attached, Role
from conductor import replay as replaying
from conductor.auditor import verify
from conductor.replay import Replay
from events.log import TopicPartition
from events.topics import partition_of
from projections.rows import (
    ActionEventRow,
    ActionRow,
    ClaimRow,
    InstanceRow,
    MigrationRow,
    SagaRow,
)
from statemachines.attachments import attachments_of
from statemachines.conservation import missing_room
from statemachines.held import Held
from statemachines.power_sync import out_of_step
from statemachines.recording import OVER
from tests.simulation.history import primary_sagas, was_reset
from tests.simulation.image_laws import images_at_rest
from tests.simulation.notice_laws import Told
from tests.simulation.patching import patched
from tests.simulation.record_laws import chains_at_rest, misrouted_at_rest
from tests.simulation.size_laws import sizes_at_rest

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud

#: States in which the guest is somewhere, whole, and what it is to its host then.
_WHOLE = {
    "active": (Role.GUEST,),
    "stopped": (Role.GUEST,),
    "paused": (Role.GUEST,),
    "resized": (Role.GUEST,),
    "suspended": (Role.SAVED,),
    "rescued": (Role.RESCUED,),
    "shelved": (Role.GUEST, Role.SAVED),
    "soft-delete": (Role.GUEST, Role.SAVED, Role.RESCUED),
}
#: Operations that a host ends well also where it has nothing of the guest.
_OF_VOLUMES = ("volume_snapshot_create", "volume_snapshot_delete")
#: Operations after which a guest is what it was before.
_AS_IT_WAS = (*_OF_VOLUMES, "snapshot", "snapshot_volume_backed", "backup")
#: Operations after which what came, or was rescued, still is so to its host.
_AS_FAR = (*_AS_IT_WAS, "reset_state", "pause", "unpause", "reboot_soft")
#: States in which it has in reach all that it holds; a stopped one has it when it is started.
_RUNNING = ("active", "paused", "resized")


def audit(cloud: Cloud) -> list[str]:
    """I3, I4: every record is accounted for once; the log folded again gives the very rows."""
    replay = Replay(reader=cloud.log.reader(), keyring=cloud.keyring, topics=cloud.topics)
    found = verify(cloud.store, replay)
    broken = [f"I4: {each}" for each in found.differences]
    broken += [f"I9: {law}: {sentence}" for law, sentence in found.violations]
    records = sum(found.positions.values())
    known = Counter(found.counts)
    rows = cloud.database.rows
    gone = {key for key, r in rows["rejections"].items() if getattr(r, "code", "") == "dropped"}
    gone |= cloud.operators.discarded - rows["parked"].keys()
    waiting = len(rows["parked"]) + len(gone)
    judged = sum(known[n] for n in ("accepted", "rejected", "duplicate", "quarantined", "control"))
    if judged + waiting != records:
        broken.append(f"I3: {records} records, but {dict(known)} and {waiting} waiting")
    return broken


def at_rest(cloud: Cloud) -> list[str]:
    """Return every law that is broken in a cloud that came to rest; the log is folded once."""
    told = Told()
    with patched((replaying, "Fold", told.fold)):
        audited = audit(cloud)
    return [*audited, *quiet(cloud), *told.broken(cloud)]


def quiet(cloud: Cloud) -> list[str]:
    """Return every law that is broken at rest, but for those that need the log folded again."""
    return [
        *_outbox(cloud),
        *_dues(cloud),
        *_migration_places(cloud),
        *_sagas(cloud),
        *_closed(cloud),
        *_claims(cloud),
        *_world(cloud),
        *_elsewhere(cloud),
        *_power(cloud),
        *_attachments(cloud),
        *chains_at_rest(cloud),
        *misrouted_at_rest(cloud),
        *images_at_rest(cloud),
        *sizes_at_rest(cloud),
    ]


def _outbox(cloud: Cloud) -> list[str]:
    """I14: what is in the outbox, or waits for an answer, is what some saga still names."""
    db, named = cloud.database, cloud.watch.named()
    tables = {
        "outbox": db.outbox,
        "timers": db.timers,
        "answers": db.answers,
        "reservations": db.reservations,
    }
    return [
        f"I14: {table} holds {command_id}, which no saga names"
        for table, rows in tables.items()
        for command_id in rows  # type: ignore[attr-defined]  # dictionaries all
        if command_id not in named
    ]


def _migration_places(cloud: Cloud) -> list[str]:
    """I19: a host that has nothing to do has every place for a live migration to give."""
    return [
        f"I19: {host.name} keeps a place for {instance_id}"
        for host in cloud.hosts
        for instance_id in sorted({*host.journal.slots(), *host.journal.incoming()})
    ]


def _dues(cloud: Cloud) -> list[str]:
    """I18: what falls due by itself has a row, and nothing else has one."""
    found = []
    for row in cloud.watch.instances():
        number = partition_of(row.uuid, cloud.plan.partitions)
        home = TopicPartition(cloud.topics.instance_events, number)
        found.append(cloud.watch.wrong_dues(row.uuid, home))
    return [each for each in found if each is not None]


def _sagas(cloud: Cloud) -> list[str]:
    """I7, I10: every saga has ended, and no two primary ones share a generation."""
    broken, primary = [], Counter[tuple[str, int]]()
    for row in cloud.database.rows["sagas"].values():
        assert isinstance(row, SagaRow), f"Expected a saga, but {row!r}"
        if row.status != "ended":
            broken.append(f"I7: {row.saga} of {row.instance_uuid} stands at {row.step}")
        if row.is_primary:
            primary[row.instance_uuid, row.generation] += 1
    broken += [f"I10: {n} primary sagas at {key}" for key, n in primary.items() if n > 1]
    for instance in cloud.watch.instances():
        if instance.task_state is not None:
            broken.append(f"I7: {instance.uuid} is left in task_state {instance.task_state}")
    return broken


def _closed(cloud: Cloud) -> list[str]:
    """S3: every action and each of its events is over, and every migration but one that waits."""
    rows, broken = cloud.database.rows, []
    for row in (*rows["instance_actions"].values(), *rows["instance_actions_events"].values()):
        assert isinstance(row, ActionRow | ActionEventRow), f"Expected an action, but {row!r}"
        if row.finish_time is None:
            broken.append(f"S3: {row} is not over")
    waiting = {row.uuid for row in cloud.watch.instances() if row.vm_state == "resized"}
    for row in rows["migrations"].values():
        assert isinstance(row, MigrationRow), f"Expected a migration, but {row!r}"
        waits = row.status == "finished" and row.instance_uuid in waiting
        # Nobody owes anything any more, so no old host may have a clean-up before it either.
        stands = (row.migration_type, row.status) == ("evacuation", "done")
        if stands or (not waits and row.status not in OVER):
            broken.append(f"S3: migration {row.id} of {row.instance_uuid} is left {row.status}")
    return broken


def _claims_of(cloud: Cloud, uuid: str) -> list[ClaimRow]:
    rows = cloud.database.rows["claims"]
    claims = [row for key in sorted(rows) if isinstance(row := rows[key], ClaimRow)]
    return [row for row in claims if row.instance_uuid == uuid]


def _claims(cloud: Cloud) -> list[str]:
    """I9: what an instance takes is what it has: its host, and a move's other end."""
    broken = []
    for row in cloud.watch.instances():
        claims = _claims_of(cloud, row.uuid)
        hosts = sorted(c.host for c in claims)
        held = cloud.watch.held(row.uuid)
        assert held is not None, f"Expected a state of {row.uuid}, but there is none"
        broken += [f"I9: {sentence}" for sentence in missing_room(held)]
        if row.deleted or (row.host is None and is_only_said(cloud, row)):
            wanted: list[str] = []
        elif row.vm_state == "resized" and held.move is not None:
            wanted = sorted((held.move.source, held.move.destination or ""))
        elif row.vm_state in _WHOLE:
            wanted = [row.host or ""]
        else:
            continue
        if Counter(wanted) - Counter(hosts) or any(
            # What a move that stranded left there takes room until the instance is deleted; what
            # was only said to be active, until its owner has it.
            each in wanted
            or (cloud.world.half(each, row.uuid) is None and not is_only_said(cloud, row))
            for each in Counter(hosts) - Counter(wanted)
        ):
            broken.append(f"I9: {row.uuid} {row.vm_state} claims {hosts}, but needs {wanted}")
    return broken


def _world(cloud: Cloud) -> list[str]:
    """I2, I8: a guest is where its row says, and nowhere else."""
    broken = []
    rows = {row.uuid: row for row in cloud.watch.instances()}
    for host in cloud.hosts:
        for half in cloud.world.halves_of(host.name):
            row = rows.get(half.instance_id)
            held = cloud.watch.held(half.instance_id)
            if row is None or held is None:
                broken.append(f"I2: {half} of an instance that nobody knows")
            elif host.name not in _places(cloud, row):
                broken.append(f"I2: {half} is left over; the row says {row.vm_state} on {row.host}")
    for row in rows.values():
        held = cloud.watch.held(row.uuid)
        if row.vm_state in _WHOLE and held is not None:
            broken += _said(cloud, row) if is_only_said(cloud, row) else _whole(cloud, row, held)
    return broken


def _elsewhere(cloud: Cloud) -> list[str]:
    """I2: no guest runs on a host that its row does not name, whatever the row's state."""
    on = {row.uuid: row.host for row in cloud.watch.instances()}
    return [
        f"I2: {uuid} is on {on.get(uuid)}, but runs on {hosts}"
        for uuid, hosts in cloud.world.running().items()
        if set(hosts) - {on.get(uuid)}
    ]


def _power(cloud: Cloud) -> list[str]:
    """I19: what a guest did by itself has been seen to."""
    held = [cloud.watch.held(row.uuid) for row in cloud.watch.instances()]
    return [
        f"I19: {each.instance_id} is {each.vm_state} with power {each.power_state}"
        for each in held
        if each is not None and out_of_step(each)
    ]


def _places(cloud: Cloud, row: InstanceRow) -> set[str]:
    if row.deleted:
        return set()
    places = {c.host for c in _claims_of(cloud, row.uuid)}
    return places | ({row.host} if row.host else set())


def is_only_said(cloud: Cloud, row: InstanceRow) -> bool:
    """Was `active` said of it by an operator's reset, as nova has it, and by no host since?

    There is no owner, or none has said since that it has a guest.
    """
    has_guest = row.host is not None and row.power_state != PowerState.NOSTATE
    return (
        row.vm_state == "active" and not has_guest and was_reset(cloud, row, whatever=_OF_VOLUMES)
    )


def _left_by_reset(cloud: Cloud, row: InstanceRow) -> list[Role]:
    """Name what a guest may be to its host that an operator said is active, as nova lets him.

    It came, and nothing has followed that; or it was rescued. What has made an ordinary guest of it
    since leaves neither.
    """
    found, sagas = list[Role](), primary_sagas(cloud, row)
    for name, role in (("live_migration", Role.ARRIVED), ("rescue", Role.RESCUED)):
        began = max((r.generation for r in sagas if r.saga == name), default=None)
        since = [r for r in sagas if began is not None and r.generation > began and r.ok]
        if began is not None and all(r.saga in _AS_FAR for r in since):
            found.append(role)
    return found


def _said(cloud: Cloud, row: InstanceRow) -> list[str]:
    """Nobody has a guest of what was only said to be active."""
    halves = [cloud.world.half(host.name, row.uuid) for host in cloud.hosts]
    return [
        f"I2: {row.uuid} was only said to be active, but there is {half}"
        for half in halves
        if half is not None and half.role in PRESENT
    ]


def _whole(cloud: Cloud, row: InstanceRow, held: Held) -> list[str]:
    half = cloud.world.half(row.host or "", row.uuid)
    roles = _WHOLE[row.vm_state]
    if row.vm_state == "active" and was_reset(cloud, row, whatever=_AS_IT_WAS):
        roles = (*roles, *_left_by_reset(cloud, row))
    if row.vm_state == "soft-delete" and half and half.role is Role.BUILDING and half.remade_by:
        # A rebuild was overtaken when the old disk was gone: there is nothing to put aside.
        is_said = row.power_state == PowerState.NOSTATE
        return [] if is_said else [f"I2: {row.uuid} has power {row.power_state}, but {half}"]
    if half is None or half.role not in roles:
        return [f"I2: {row.uuid} is {row.vm_state} on {row.host}, but there is {half}"]
    broken = []
    if int(half.power_state) != row.power_state:
        broken.append(f"I2: {row.uuid} has power {row.power_state}, but there is {half}")
    move = held.move
    if row.vm_state == "resized" and move is not None and move.source != row.host:
        kept = cloud.world.half(move.source, row.uuid)
        if kept is None or kept.role is not Role.KEPT:
            broken.append(f"S7: {row.uuid} waits for confirm, but {move.source} has {kept}")
    return broken


def _attachments(cloud: Cloud) -> list[str]:
    """I16: what is attached and bound is where the guest is, all of it, and the state says so."""
    broken = []
    for row in cloud.watch.instances():
        held = cloud.watch.held(row.uuid)
        assert held is not None, f"Expected a state of {row.uuid}, but there is none"
        for host in cloud.hosts:
            there = attached_on(cloud.world, host.name, row.uuid)
            if there.has_any and cloud.world.half(host.name, row.uuid) is None:
                broken.append(f"I16: {there}, but nothing of the guest is there")
            said = _said_to_be_on(held, host.name)
            if said != _sorted(there):
                broken.append(f"I16: {there}, but the state says {said}")
        wanted = attachments_of(held)
        # A shelve that failed may have powered it off and let go: it takes hold when it is started.
        is_off = row.vm_state == "active" and row.power_state == PowerState.SHUTDOWN
        is_meant_to_run = row.vm_state in _RUNNING and not is_off
        is_whole = is_meant_to_run and not is_only_said(cloud, row)
        if is_whole and not holds(cloud.world, row.host or "", row.uuid, wanted):
            broken.append(f"I16: {row.uuid} on {row.host} needs {wanted}")
        active = {p.active_host for p in held.ports} - {row.host}
        if is_meant_to_run and active - (set() if is_whole else {None}):
            broken.append(f"I16: {row.uuid} is on {row.host}, but its ports: {held.ports}")
    return broken


def _sorted(there: Attached) -> list[str]:
    return sorted((*there.volumes, *there.ports, *there.accelerators))


def _said_to_be_on(held: Held, host: str) -> list[str]:
    return sorted(
        (
            *(v.volume.volume_id for v in held.volumes if host in v.hosts),
            *(p.port.port_id for p in held.ports if host in p.hosts),
            *(a.accelerator.accelerator_id for a in held.accelerators if host in a.hosts),
        )
    )


def empty(cloud: Cloud) -> list[str]:
    """Return what is left of a cloud whose instances were all deleted."""
    broken = at_rest(cloud)
    broken += [
        f"S2: {row.uuid} is {row.vm_state}" for row in cloud.watch.instances() if not row.deleted
    ]
    return broken
