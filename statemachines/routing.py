"""As which action a request is carried out: a delete may be soft, a soft one may be for good.

Nova decides this in front of its rules, from its settings and the services' rows. Here it is a
function of state, request and rules, so that a replay decides the same.
"""

from __future__ import annotations

from events.requests import ActionRequested
from events.values import replace
from statemachines.held import Held
from statemachines.rules import Rules
from statemachines.states import VmState


def routed(held: Held, request: ActionRequested, rules: Rules) -> ActionRequested:
    """Return the request as it is carried out.

    A delete of what was launched once is soft while deleted guests are kept for a time. A soft
    delete without a host that could put the guest aside is a delete: there would be no way back.

    Source:  ServersController._delete of nova/api/openstack/compute/servers.py, and API._delete
             of nova/compute/api.py.
    """
    if request.action not in ("delete", "soft_delete") or held.launched_at is None:
        return request
    is_kept = rules.number_of("reclaim_instance_interval") > 0
    is_soft = request.action == "soft_delete" or is_kept
    is_somewhere = held.host is not None and held.vm_state != VmState.SHELVED_OFFLOADED
    action = "soft_delete" if is_soft and is_somewhere and request.source_up else "delete"
    return request if action == request.action else replace(request, action=action)
