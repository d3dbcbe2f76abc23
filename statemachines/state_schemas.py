"""Write the `.avsc` files of the states that rows keep: `python -m statemachines.state_schemas`.

States are stored and never sent, so they have no head; the files stand beside those of the facts,
for one codec reads them all. Not imported at run time.
"""

from __future__ import annotations

from typing import Final

from events.codec import schema_of_state
from events.write_schemas import write_all
from statemachines.held import Held
from statemachines.node import NodeHeld
from statemachines.rules import Rules

#: The states that are stored, by the name of their schema.
STATES: Final[dict[str, type]] = {"Held": Held, "NodeHeld": NodeHeld, "Rules": Rules}


def main() -> None:
    """Write what is missing and print it."""
    write_all({name: schema_of_state(name, cls) for name, cls in STATES.items()})


if __name__ == "__main__":
    main()
