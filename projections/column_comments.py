"""What each column means, with its unit and where it comes from; shown by `\\d+` in PostgreSQL.

One sentence per column of every table, in the order of the columns. Knows no types and no keys:
those are in `projections.rows` (functions of the log) and `projections.tables` (the others).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_APPENDED = "µs UTC, when the log appended"
_CLOCK = "µs UTC on the owner's clock"

_INSTANCES = {
    "uuid": "Identity of the instance; given by the request that made it.",
    "display_name": "What its user calls it; from the request.",
    "vm_state": "What it is when nothing is being done to it, in nova's words; from the arrows.",
    "task_state": "What is being done to it, in nova's words, or null; from the arrows.",
    "power_state": "What its hypervisor last said, nova's integer; from the driver's reports.",
    "host": "Compute service that owns it, or null; moves with ownership.",
    "node": "Hypervisor of that host, or null; from the fact that moved it.",
    "user_id": "Who asked for it; from the request.",
    "project_id": "Whose it is; from the request.",
    "image_ref": "Image that it was built from, empty if from a volume; from the request.",
    "flavor_name": "Flavor in force; from the request that made or resized it.",
    "vcpus": "Virtual CPUs, count; from the flavor.",
    "memory_mb": "Memory, MiB; from the flavor.",
    "root_gb": "Root disk, GiB; from the flavor.",
    "locked": "1 while locked against its user; from lock requests.",
    "launched_at": "µs UTC, the log's append time of the first successful start, or null.",
    "terminated_at": "µs UTC, the log's append time of the end of its guest, or null.",
    "created_at": f"{_APPENDED} its first fact.",
    "updated_at": f"{_APPENDED} the last fact that changed this row.",
    "deleted": "1 for a tombstone; from the accepted delete.",
    "deleted_at": f"{_APPENDED} the fact that deleted it, or null.",
    "origin": "regente or nova (shadow); set by its first fact, changed only by an import.",
    "generation": "Rises with each primary saga; commands of an older one are refused.",
}

_INSTANCE_STATES = {
    "instance_uuid": "Identity of the instance.",
    "partition": "Partition of the instance topic that the instance belongs to.",
    "body": "Whole state that the fold carries, Avro (held.vN).",
}

_MIGRATIONS = {
    "id": "Position of the fact that began it: (offset × partitions + partition) × 16 + n.",
    "uuid": "Identity of the migration, a function of the log.",
    "instance_uuid": "Instance that moves.",
    "migration_type": "Why it moves, in nova's words; from the saga.",
    "status": "How far it has come, in nova's words; from the saga's step.",
    "source_compute": "Host that it leaves, or null.",
    "source_node": "Hypervisor that it leaves, or null.",
    "dest_compute": "Host that it goes to, or null until one is chosen.",
    "dest_node": "Hypervisor that it goes to, or null until one is chosen.",
    "old_flavor": "Name of the flavor before.",
    "new_flavor": "Name of the flavor after; the same unless it is a resize.",
    "user_id": "Who asked for it; from the request.",
    "project_id": "Whose the instance is; from the request.",
    "created_at": f"{_APPENDED} the fact that began it.",
    "updated_at": f"{_APPENDED} the last fact that changed this row.",
    "memory_total": "Memory to copy, bytes, or null; from the source's progress.",
    "memory_processed": "Memory copied, bytes, or null; from the source's progress.",
    "memory_remaining": "Memory still to copy, bytes, or null; from the source's progress.",
    "disk_total": "Disk to copy, bytes, or null; from the source's progress.",
    "disk_processed": "Disk copied, bytes, or null; from the source's progress.",
    "disk_remaining": "Disk still to copy, bytes, or null; from the source's progress.",
    "status_provenance": "How the status is known: judged; or of nova's: told, inferred, unknown.",
}

_ACTIONS = {
    "instance_uuid": "Instance that the request is about.",
    "request_id": "Identity of the request, req-…; from the request.",
    "action": "What was asked, nova's name of the action.",
    "user_id": "Who asked.",
    "project_id": "For which project.",
    "start_time": f"{_APPENDED} the request.",
    "finish_time": f"{_APPENDED} the fact that ended it, or null while it goes on.",
    "message": "Error when it failed, else null.",
    "saga_id": "Saga that carries it out, or null.",
}

_ACTION_EVENTS = {
    "id": "Position of the fact that began it: (offset × partitions + partition) × 16 + n.",
    "instance_uuid": "Instance that it is about.",
    "request_id": "Request that it belongs to.",
    "event": "What was done, nova's name of the event.",
    "host": "Where it was done, or null.",
    "start_time": f"{_APPENDED} the fact that began it.",
    "finish_time": f"{_APPENDED} the fact that ended it, or null while it goes on.",
    "result": "Success, Error, or null while it goes on.",
    "details": "What went wrong, or null; from the fact that ended it.",
}

_FAULTS = {
    "id": "Position of the fact that told it: (offset × partitions + partition) × 16 + n.",
    "instance_uuid": "Instance that it happened to.",
    "code": "HTTP status that nova gives this kind of fault.",
    "message": "One sentence; from the fact.",
    "details": "All that is known; from the fact.",
    "host": "Where it happened, or null.",
    "created_at": f"{_APPENDED} the fact that told it.",
}

_CLAIMS = {
    "instance_uuid": "Instance that takes the room.",
    "saga_id": "Saga that claimed it.",
    "host": "Host whose room it is.",
    "vcpus": "Virtual CPUs taken, count; from the flavor.",
    "memory_mb": "Memory taken, MiB; from the flavor.",
    "disk_gb": "Disk taken, GiB; from the flavor.",
    "created_at": f"{_APPENDED} the fact that claimed it.",
}

_SAGAS = {
    "saga_id": "Identity of the saga, a function of the log.",
    "instance_uuid": "Instance that it is about.",
    "saga": "Name of the operation.",
    "version": "Version of its definition, pinned when it started.",
    "is_primary": "1 for the instance's one primary saga, 0 for a side saga.",
    "request_id": "Request that started it, or null.",
    "generation": "Generation of its commands.",
    "step": "Where it stands.",
    "attempt": "How often it has entered this step, from 1.",
    "waits_for": "Hosts that it waits for, comma separated; empty for none.",
    "status": "running, needs_operator or ended.",
    "ending": "Name of the way it ended, or null.",
    "ok": "1 ended well, 0 not, null while it goes on.",
    "reason": "Why it failed or needs an operator, or null; from the fact.",
    "source": "Host that the guest leaves, or null.",
    "destination": "Host that the guest goes to, or null.",
    "deadline_s": "Seconds that the present attempt may take; 0: as long as it takes.",
    "partition": "Partition of the instance topic that the instance belongs to.",
    "started_at": f"{_APPENDED} the fact that started it.",
    "entered_at": f"{_APPENDED} the fact by which it entered this step.",
    "updated_at": f"{_APPENDED} the last fact that changed this row.",
    "ended_at": f"{_APPENDED} the fact that ended it, or null.",
}

_SAGA_STEPS = {
    "saga_id": "Saga that entered the step.",
    "n": "Number of the step within its saga, in order of entering.",
    "instance_uuid": "Instance that it is about.",
    "step": "Name of the step.",
    "attempt": "How often the saga had entered this step, from 1.",
    "hosts": "Hosts that it commanded, comma separated.",
    "entered_at": f"{_APPENDED} the fact by which it was entered.",
    "left_at": f"{_APPENDED} the fact by which it was left, or null.",
    "left_by": "Name of that fact, or null.",
}

_POSITION = {
    "topic": "Topic of the record.",
    "partition": "Partition of the record.",
    "offset": "Offset of the record.",
}

_REJECTIONS = _POSITION | {
    "subject": "Key of the record: an instance or a host.",
    "source": "Who wrote it.",
    "fact": "Name of the fact.",
    "sequence": "Its number in the writer's chain.",
    "request_id": "Request that it belongs to, or null.",
    "code": "Stable word for the reason.",
    "reason": "The reason, a sentence.",
    "vm_state": "vm_state that the fact met, or null.",
    "task_state": "task_state that the fact met, or null.",
    "generation": "Generation that the fact met.",
    "created_at": f"{_APPENDED} the record.",
}

_PARKED = _POSITION | {
    "subject": "Key of the record: an instance or a host.",
    "source": "Who wrote it.",
    "sequence": "Its number in the writer's chain.",
    "reason": "What it waits for: early, schema or set-aside.",
    "created_at": f"{_APPENDED} the record.",
}

_QUARANTINE = _POSITION | {
    "subject": "Key of the record as far as it can be read.",
    "source": "Who seems to have written it.",
    "code": "Stable word for the reason.",
    "reason": "The reason, a sentence.",
    "status": "waiting, or discarded by an operator.",
    "created_at": f"{_APPENDED} the record.",
}

_NODES = {
    "host": "Name of the compute service.",
    "node": "Name of its hypervisor; from its start or capacity report.",
    "hypervisor_type": "Driver; from its start or capacity report.",
    "vcpus": "Virtual CPUs on offer, count: inventory × ratio − reserved; as it reported.",
    "memory_mb": "Memory on offer, MiB: inventory × ratio − reserved; as it reported.",
    "disk_gb": "Disk on offer, GiB: inventory × ratio − reserved; as it reported.",
    "boot_epoch": "How often its agent has started under this enrolment.",
    "enrolment": "How often the host was enrolled.",
    "status": "started, stopped, lost or forced_down.",
    "lost_count": "How often it was recorded as lost.",
    "guest_count": "Guests in its last digest, count.",
    "start_sequence": "Number of its last start, in its chain about itself.",
    "digest_sequence": "Number of its last digest, in its chain about itself.",
    "surveyed_sequence": "Number of its fact up to which its guests were asked after.",
    "digest": "SHA-256 of its last digest, hex: over sorted lines of uuid and power state.",
    "created_at": f"{_APPENDED} its first fact.",
    "updated_at": f"{_APPENDED} the last fact that changed this row.",
    "body": "The fold's own state of this host, Avro (node_held.vN).",
}

_CHECKPOINTS = {
    "topic": "Topic of the partition.",
    "partition": "Number of the partition.",
    "next_offset": "Offset that will be taken next.",
    "epoch": "Rises at each takeover; every write of the owner names it.",
    "topic_id": "Identity of the topic, to notice one that was made again; empty at first.",
    "leader_epoch": "Leader epoch of the last record taken.",
    "chain": "SHA-256 over all records taken so far; 32 zero bytes at first.",
    "rules": "Rules in force, as the fold stores them; empty at first.",
}

_SENT = {
    "command_id": "Identity of the command, a function of the log.",
    "topic": "Topic of the partition that the instance belongs to.",
    "partition": "Partition that the instance belongs to.",
    "instance_uuid": "Instance that it is about.",
    "saga_id": "Saga that asks for it.",
    "step": "Step that asks for it.",
    "attempt": "How often the saga has entered that step, from 1.",
}

_OUTBOX = {
    "id": "Order of insertion, and of sending among equals in rank.",
    **_SENT,
    "command": "Name of the command.",
    "host": "Host that shall carry it out, or @scheduler.",
    "value": "Encoded command.",
    "deadline_s": "Seconds that an answer may take, from the sending; 0: as long as it takes.",
    "created_at": f"{_APPENDED} the fact that called for it.",
    "rank": "When it goes, of those that wait: the lowest first.",
    "fired": "1 once the log was told that its host is lost.",
}

_TIMERS = _SENT | {
    "host": "Host that has the command, or @scheduler.",
    "due_at": f"{_CLOCK}, when the answer is overdue; 2^63 − 1 for never.",
    "fired": "1 once the log was told that it is overdue, or that its host is lost.",
}

_DUES = {
    "instance_uuid": "Instance that it is about.",
    "action": "Nova's action that comes by itself.",
    "topic": "Topic of the partition that the instance belongs to.",
    "partition": "Partition that the instance belongs to.",
    "since": "µs UTC, since when the state that names it has lasted.",
    "after_s": "Seconds from then until it comes, by the rules in force.",
    "due_at": f"{_CLOCK}, when the log is told that its time has come.",
}

_RESERVATIONS = {
    "command_id": "Choice that it was made for.",
    "host": "Host whose room is held.",
    "vcpus": "Virtual CPUs held, count.",
    "memory_mb": "Memory held, MiB.",
    "disk_gb": "Disk held, GiB.",
    "created_at": f"{_CLOCK}, when it was made.",
}

_ANSWERS = {
    "command_id": "Choice that it answers.",
    "topic": "Topic that the answer goes to.",
    "partition": "Partition that the answer goes to.",
    "instance_uuid": "Instance that it is about.",
    "value": "Encoded fact.",
    "told": "1 once it was appended to the log.",
    "created_at": f"{_CLOCK}, when it was made.",
}

_LAST_SEEN = {
    "host": "Name of the compute service.",
    "boot_epoch": "How often its agent had started; from its last heartbeat.",
    "last_seen_at": f"{_APPENDED} its last heartbeat.",
}

_MARKERS = {
    "topic": "Topic of the partition.",
    "partition": "Number of the partition.",
    "begin_offset": "Offset at which the batch that is being tried begins.",
    "tries": "How often such a batch was begun, count.",
}

_SET_ASIDE = _POSITION | {"reason": "Why it was set aside; from the fact that says so."}

_CERTIFICATES = {
    "id": "Order of the rebuilds.",
    "switched_at": "µs UTC on the clock of who rebuilt, when the tables were exchanged.",
    "body": "Positions, and rows and digest of each table, JSON.",
}

_BLOCK_DEVICE_MAPPING = {
    "instance_uuid": "Instance that has the volume.",
    "volume_id": "Uuid of the volume, as the request named it.",
    "device_name": "Name under which the guest sees it: /dev/vdb.",
    "boot_index": "0 for the disk that the guest boots from; NULL for no boot disk.",
    "source_type": "volume: nothing else is held here.",
    "destination_type": "volume: nothing else is held here.",
    "delete_on_termination": "1 if it goes with the instance, else 0.",
    "status": "attaching, in-use, swapping or detaching.",
    "hosts": "Hosts that said that they are connected to it, with commas.",
    "created_at": f"{_APPENDED} the request that named it.",
}

_VIRTUAL_INTERFACES = {
    "instance_uuid": "Instance that has the interface.",
    "uuid": "Uuid of its port: named by the request, or a function of the log.",
    "network_id": "Uuid of its network; empty where only the port was named.",
    "fixed_ips": "Addresses of the port, with commas.",
    "status": "attaching, in-use or detaching.",
    "hosts": "Hosts that said that the port is bound to them, with commas.",
    "active_host": "Host to which its traffic goes; NULL while to none.",
    "created_at": f"{_APPENDED} the request that named it.",
}

_ACCELERATORS = {
    "instance_uuid": "Instance that has the accelerator.",
    "uuid": "Identity of the accelerator request, a function of the log.",
    "device_profile": "Device profile that the flavor names.",
    "hosts": "Hosts that said that a device of theirs is bound, with commas.",
    "created_at": f"{_APPENDED} the request that named it.",
}

_INSTANCE_METADATA = {
    "instance_uuid": "Instance that it is about.",
    "key": "Key that a user chose.",
    "value": "Value that a user chose.",
}

_TAGS = {
    "resource_id": "Uuid of the instance that has the tag.",
    "tag": "Tag that a user chose.",
}

COMMENTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "instances": _INSTANCES,
        "instance_states": _INSTANCE_STATES,
        "migrations": _MIGRATIONS,
        "instance_actions": _ACTIONS,
        "instance_actions_events": _ACTION_EVENTS,
        "instance_faults": _FAULTS,
        "claims": _CLAIMS,
        "sagas": _SAGAS,
        "saga_steps": _SAGA_STEPS,
        "rejections": _REJECTIONS,
        "parked": _PARKED,
        "quarantine": _QUARANTINE,
        "nodes": _NODES,
        "block_device_mapping": _BLOCK_DEVICE_MAPPING,
        "virtual_interfaces": _VIRTUAL_INTERFACES,
        "accelerators": _ACCELERATORS,
        "instance_metadata": _INSTANCE_METADATA,
        "tags": _TAGS,
        "checkpoints": _CHECKPOINTS,
        "outbox": _OUTBOX,
        "timers": _TIMERS,
        "dues": _DUES,
        "reservations": _RESERVATIONS,
        "answers": _ANSWERS,
        "last_seen": _LAST_SEEN,
        "markers": _MARKERS,
        "set_aside": _SET_ASIDE,
        "certificates": _CERTIFICATES,
    }
)
