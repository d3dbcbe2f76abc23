"""What a request may name beside its flavor, by action; nova's API takes nothing else either.

A name that is passed over is worse than one that is refused: the guest goes to another host than
was meant. And a saga keeps the arguments of its request beside those that the house gives its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from statemachines.permissions import PERMISSIONS

#: The argument by which nova lets a resize or cold migration go to another cell.
CROSS_CELL: Final = "allow_cross_cell_move"

_NAMED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "create": (
            *("name", "flavor", "image", "block_device_mapping_v2", "networks"),
            *("accel:device_profile", "metadata", "tags"),
        ),
        "resize": ("flavor", CROSS_CELL),
        "migrate": (CROSS_CELL,),
        "evacuate": ("priority", "target_state"),
        "rebuild": ("image",),
        "rescue": ("rescue_image_ref",),
        "reset_state": ("state",),
        "set_admin_password": ("secret_ref",),
        "snapshot": ("name",),
        "snapshot_volume_backed": ("name",),
        "backup": ("name", "backup_type", "rotation"),
        "volume_snapshot_create": ("volume_id", "snapshot_id"),
        "volume_snapshot_delete": ("volume_id", "snapshot_id", "merge_target"),
        "attach_volume": ("volume_id", "device", "delete_on_termination"),
        "detach_volume": ("volume_id",),
        "swap_volume": ("old_volume_id", "new_volume_id"),
        "attach_interface": ("port_id", "net_id", "fixed_ip"),
        "detach_interface": ("port_id",),
        "add_fixed_ip": ("network_id",),
        "remove_fixed_ip": ("address",),
        "update_instance_metadata": ("metadata", "delete"),
        "delete_instance_metadata": ("key",),
        "update_tags": ("tags",),
    }
)
#: Of each action the names that its request may have.
ARGUMENTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {action: frozenset(_NAMED.get(action, ())) for action in PERMISSIONS}
)
#: The actions that lead to a host of which a request may say which one.
TO_A_HOST: Final = frozenset(
    {"create", "resize", "migrate", "live_migrate", "evacuate", "unshelve"}
)
