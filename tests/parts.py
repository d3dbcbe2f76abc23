"""A guest that holds one of everything: a volume, a port, an accelerator; and how it is asked."""

from __future__ import annotations

import json
from typing import Final

from events.parts import Accelerator, Attachments, Port, Volume

VOLUME: Final = "0b4c4c1e-0000-4000-8000-00000000000a"
OTHER_VOLUME: Final = "0b4c4c1e-0000-4000-8000-00000000000b"
PORT: Final = "0b4c4c1e-0000-4000-8000-00000000000c"
NETWORK: Final = "0b4c4c1e-0000-4000-8000-00000000000d"
OTHER_PORT: Final = "0b4c4c1e-0000-4000-8000-00000000000f"
ACCELERATOR: Final = "0b4c4c1e-0000-4000-8000-00000000000e"

EVERYTHING: Final = Attachments(
    volumes=(
        Volume(
            volume_id=VOLUME, device_name="/dev/vdb", boot_index=None, delete_on_termination=False
        ),
    ),
    ports=(Port(port_id=PORT, network_id=NETWORK, fixed_ips=("10.0.0.5",)),),
    accelerators=(Accelerator(accelerator_id=ACCELERATOR, device_profile="gpu"),),
)
#: What such a guest may be given besides.
MORE: Final = Attachments(
    volumes=(
        Volume(
            volume_id=OTHER_VOLUME,
            device_name="/dev/vdc",
            boot_index=None,
            delete_on_termination=False,
        ),
    ),
    ports=(Port(port_id=OTHER_PORT, network_id=NETWORK, fixed_ips=()),),
)


def mapping(volume_id: str = VOLUME, **more: object) -> dict[str, object]:
    """Return an entry of block_device_mapping_v2 for a volume."""
    return {"uuid": volume_id, "source_type": "volume", "destination_type": "volume", **more}


def wishes(**more: str) -> dict[str, str]:
    """Return the arguments of a create that asks for a volume and a port."""
    return {
        "name": "a",
        "image": "i",
        "block_device_mapping_v2": json.dumps([mapping()]),
        "networks": json.dumps([{"port": PORT, "uuid": NETWORK, "fixed_ip": "10.0.0.5"}]),
        **more,
    }
