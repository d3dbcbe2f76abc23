"""Volumes, networks and accelerators as a request names them: nova's keys, JSON, bounded.

Whatever is wrong is said in one sentence and refuses the request; nothing is guessed. A request is
read twice, by the judge and by the fold, so reading it is a pure function.

Source:  nova/api/openstack/compute/schemas/servers.py of nova 34 (`block_device_mapping_v2`,
         `networks`), nova/block_device.py; the extra spec `accel:device_profile` of a flavor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final, cast

from events.ids import InstanceId, part_id
from events.json_arguments import BadArgument, json_of
from events.parts import Accelerator, Attachments, Port, Volume
from events.requests import ActionRequested
from statemachines.immediate import metadata_asked, tags_asked

#: Volumes of one guest: as many letters as there are, as nova's libvirt driver has for virtio.
VOLUMES_MAX: Final = 26
#: Ports of one guest; nova bounds them by quota only, a PCI bus by its slots.
PORTS_MAX: Final = 32
#: Characters of a name: nova's columns.
NAME_CHARS_MAX: Final = 255

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DEVICE: Final = re.compile(r"(/dev/)?[a-z]{1,8}[0-9]{0,2}")
_MAPPING_KEYS: Final = frozenset(
    {
        "uuid",
        "source_type",
        "destination_type",
        "boot_index",
        "device_name",
        "delete_on_termination",
        "volume_size",
        "guest_format",
        "disk_bus",
        "device_type",
        "volume_type",
        "tag",
    }
)
_NETWORK_KEYS: Final = frozenset({"uuid", "port", "fixed_ip", "tag"})


def attachments_asked(
    request: ActionRequested, instance_id: str, request_id: str | None
) -> Attachments:
    """Return what a create asks for besides memory and disk; BadArgument where it can't be read."""
    arguments = request.arguments
    return Attachments(
        volumes=_volumes(arguments),
        ports=_ports(arguments, instance_id, request_id or ""),
        accelerators=_accelerators(arguments, instance_id, request_id or ""),
    )


def wrong_in(request: ActionRequested) -> str | None:
    """Say what is wrong with what a create asks for; None where nothing is."""
    try:
        attachments_asked(request, "", None)
        metadata_asked(request.arguments)
        tags_asked(request.arguments)
    except BadArgument as e:
        return str(e)
    return None


def _volumes(arguments: Mapping[str, str]) -> tuple[Volume, ...]:
    found: tuple[Volume, ...] = ()
    for entry in _entries(arguments, "block_device_mapping_v2", VOLUMES_MAX):
        _known(entry, _MAPPING_KEYS, "block_device_mapping_v2")
        kinds = (entry.get("source_type"), entry.get("destination_type"))
        if kinds in (("image", "local"), ("blank", "local")):
            continue  # A disk of the guest's own: the flavor's.
        if kinds != ("volume", "volume"):
            raise BadArgument(f"Expected volumes that exist already, but {kinds}")
        found = (*found, _volume(entry, found))
    return found


def _volume(entry: Mapping[str, object], before: tuple[Volume, ...]) -> Volume:
    boot_index = entry.get("boot_index")
    if boot_index is not None and (type(boot_index) is not int or not -1 <= boot_index < 255):
        raise BadArgument(f"Expected a boot_index from -1 on, but {boot_index!r:.40}")
    boots = boot_index if type(boot_index) is int and boot_index >= 0 else None
    if boots is not None and any(v.boot_index == boots for v in before):
        raise BadArgument(f"Expected each boot_index once, but {boots} twice")
    ends = entry.get("delete_on_termination", False)
    if type(ends) is not bool:
        raise BadArgument(f"Expected delete_on_termination true or false, but {ends!r:.40}")
    return volume_of(
        uuid_of(entry.get("uuid"), "volume"),
        entry.get("device_name"),
        before,
        boot_index=boots,
        delete_on_termination=ends,
    )


def volume_of(
    volume_id: str,
    device_name: object,
    others: tuple[Volume, ...],
    *,
    boot_index: int | None = None,
    delete_on_termination: bool = False,
) -> Volume:
    """Return a volume under the name that was asked for, else under the next that is free."""
    if any(v.volume_id == volume_id for v in others):
        raise BadArgument(f"Expected each volume once, but {volume_id} twice")
    taken = {v.device_name for v in others}
    if device_name is None or device_name == "":
        letters = "a" if boot_index == 0 else "bcdefghijklmnopqrstuvwxyza"
        free = [f"/dev/vd{x}" for x in letters if f"/dev/vd{x}" not in taken]
        if not free:
            raise BadArgument(f"Expected at most {VOLUMES_MAX} devices, but one more")
        name = free[0]
    elif not isinstance(device_name, str) or not _DEVICE.fullmatch(device_name):
        raise BadArgument(f"Expected a device_name like /dev/vdb, but {device_name!r:.40}")
    else:
        name = device_name if device_name.startswith("/dev/") else f"/dev/{device_name}"
    if name in taken:
        raise BadArgument(f"Expected a device_name that is free, but {name} is taken")
    return Volume(
        volume_id=volume_id,
        device_name=name,
        boot_index=boot_index,
        delete_on_termination=delete_on_termination,
    )


def _ports(arguments: Mapping[str, str], instance_id: str, request_id: str) -> tuple[Port, ...]:
    if arguments.get("networks") in ("none", '"none"'):
        return ()
    found: tuple[Port, ...] = ()
    for n, entry in enumerate(_entries(arguments, "networks", PORTS_MAX)):
        _known(entry, _NETWORK_KEYS, "networks")
        made = part_id(InstanceId(instance_id), "port", request_id, n)
        port = port_of(entry.get("port"), entry.get("uuid"), entry.get("fixed_ip"), made)
        if any(p.port_id == port.port_id for p in found):
            raise BadArgument(f"Expected each port once, but {port.port_id} twice")
        found = (*found, port)
    return found


def port_of(port: object, network: object, fixed_ip: object, made: str) -> Port:
    """Return the port that is named, or one that is made on the network that is named."""
    if port is None and network is None:
        raise BadArgument("Expected a port or a network, but neither")
    return Port(
        port_id=made if port is None else uuid_of(port, "port"),
        network_id="" if network is None else uuid_of(network, "network"),
        fixed_ips=() if fixed_ip is None else (address_of(fixed_ip),),
    )


def _accelerators(
    arguments: Mapping[str, str], instance_id: str, request_id: str
) -> tuple[Accelerator, ...]:
    profile = arguments.get("accel:device_profile")
    if profile is None:
        return ()
    if not 0 < len(profile) <= NAME_CHARS_MAX:
        raise BadArgument(f"Expected the name of a device profile, but {len(profile)} characters")
    made = part_id(InstanceId(instance_id), "accelerator", request_id, 0)
    return (Accelerator(accelerator_id=made, device_profile=profile),)


def uuid_of(value: object, what: str) -> str:
    """Return the uuid of something, in small letters."""
    if not isinstance(value, str) or not _UUID.fullmatch(value.lower()):
        raise BadArgument(f"Expected the uuid of a {what}, but {value!r:.40}")
    return value.lower()


def address_of(value: object) -> str:
    """Return an address in its canonical form."""
    if not isinstance(value, str):
        raise BadArgument(f"Expected an address, but {value!r:.40}")
    try:
        return str(ip_address(value))
    except ValueError:
        raise BadArgument(f"Expected an address, but {value!r:.40}") from None


def _entries(arguments: Mapping[str, str], key: str, most: int) -> list[Mapping[str, object]]:
    """Return the objects of a JSON list; none where the request does not have the key."""
    text = arguments.get(key)
    if text is None:
        return []
    value = json_of(text, key)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise BadArgument(f"Expected {key} to be a list of objects, but {text:.40}")
    if len(value) > most:
        raise BadArgument(f"Expected at most {most} of {key}, but {len(value)}")
    return cast("list[Mapping[str, object]]", value)


def _known(entry: Mapping[str, object], keys: frozenset[str], where: str) -> None:
    if strange := sorted(entry.keys() - keys):
        raise BadArgument(f"Expected known keys in {where}, but {strange[0]:.40}")
