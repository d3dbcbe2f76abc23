"""How the fold's states are stored: one Avro body each, readable in any version ever written."""

from __future__ import annotations

from typing import Final

from events.codec import StateCodec
from statemachines.held import Held
from statemachines.node import NodeHeld
from statemachines.rules import Rules

HELD_CODEC: Final = StateCodec(Held, "Held")
NODE_CODEC: Final = StateCodec(NodeHeld, "NodeHeld")
RULES_CODEC: Final = StateCodec(Rules, "Rules")
