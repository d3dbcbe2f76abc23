"""The states that a fold keeps between batches: read in bulk, bounded, dropped when in doubt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from conductor.bodies import HELD_CODEC, NODE_CODEC
from conductor.limits import CACHE_BODIES_BYTES_MAX, CACHE_VALUES_MAX
from conductor.shelf import Lately, Shelf
from statemachines.held import Held
from statemachines.node import NodeHeld

#: Reads the stored body of each key that has one.
Load = Callable[[Collection[str]], Mapping[str, bytes]]


class States:
    """Instances or hosts by key, as they were after the last batch that is known to be written.

    Some instances are here as values, many more as the bodies that were written: a body takes a
    fourth of the memory, and is decoded in a fraction of what reading it takes.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        #: Of the batch in hand.
        self._instances: dict[str, Held | None] = {}
        self.values = Lately[Held](CACHE_VALUES_MAX)
        self.bodies = Shelf[bytes](CACHE_BODIES_BYTES_MAX, len)
        self._nodes: dict[str, NodeHeld | None] = {}

    def share(self, shares: int) -> None:
        """Take one of so many shares of the memory for states."""
        self.values.room = CACHE_VALUES_MAX // shares
        self.bodies.room = CACHE_BODIES_BYTES_MAX // shares

    def clear(self) -> None:
        """Forget everything."""
        self._instances.clear()
        self.values.clear()
        self.bodies.clear()
        self._nodes.clear()

    def prefetch(self, keys: Collection[str]) -> None:
        """Have the states of these instances here; those that are not are read in one query."""
        missing = []
        for key in keys:
            if key in self._instances:
                continue
            if (held := self.values.get(key)) is not None:
                self._instances[key] = held
            elif (body := self.bodies.get(key)) is not None:
                self._instances[key] = HELD_CODEC.decode(body)
            else:
                missing.append(key)
        if missing:
            found = self._load(sorted(missing))
            for key in missing:
                body = found.get(key)
                self._instances[key] = None if body is None else HELD_CODEC.decode(body)

    def instance(self, key: str) -> Held | None:
        """Return the state of an instance; None for one that is not known."""
        if key not in self._instances:
            self.prefetch((key,))
        return self._instances[key]

    def node(self, host: str) -> NodeHeld | None:
        """Return the state of a host; None for one that is not known."""
        if host not in self._nodes:
            body = self._load([host]).get(host)
            held = None if body is None else NODE_CODEC.decode(body)
            self._nodes[host] = held
        return self._nodes[host]

    def keep(
        self,
        instances: Mapping[str, Held | None],
        bodies: Mapping[str, bytes],
        nodes: Mapping[str, NodeHeld | None],
    ) -> None:
        """Go on from these, as far as there is room for them; the batch in hand is over.

        `bodies`: of each instance that has changed.
        """
        for key, held in instances.items():
            if held is not None:
                self.values.put(key, held)
        for key, body in bodies.items():
            self.bodies.put(key, body)
        self._instances = {}
        self._nodes.update(nodes)
