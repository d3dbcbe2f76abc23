"""The states that a fold keeps between batches: read in bulk, bounded, dropped when in doubt."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping

from conductor.bodies import HELD_CODEC, NODE_CODEC
from conductor.limits import CACHE_BODIES_BYTES_MAX, CACHE_VALUES_MAX
from statemachines.held import Held
from statemachines.node import NodeHeld

#: Reads the stored body of each key that has one.
Load = Callable[[Collection[str]], Mapping[str, bytes]]


class States:
    """Instances or hosts by key, as they were after the last batch that is known to be written.

    Instances that were used last are here as values, many more as the bodies that were written: a
    body takes a third of the memory, and is decoded in a fraction of what reading it takes.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        #: Instances that may stay between batches as values, and bytes of bodies.
        self.room, self.room_bytes = CACHE_VALUES_MAX, CACHE_BODIES_BYTES_MAX
        self._instances: OrderedDict[str, Held | None] = OrderedDict()
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._nodes: dict[str, NodeHeld | None] = {}

    def share(self, shares: int) -> None:
        """Take one of so many shares of the memory for states."""
        self.room = CACHE_VALUES_MAX // shares
        self.room_bytes = CACHE_BODIES_BYTES_MAX // shares

    def clear(self) -> None:
        """Forget everything."""
        self._instances.clear()
        self._bodies.clear()
        self._bytes = 0
        self._nodes.clear()

    def prefetch(self, keys: Collection[str]) -> None:
        """Have the states of these instances here; those that are not are read in one query."""
        wanted = sorted({key for key in keys if key not in self._instances})
        missing = [key for key in wanted if key not in self._bodies]
        read = self._load(missing) if missing else {}
        for key in wanted:
            body = self._bodies.get(key) or read.get(key)
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
        """Go on from these; the instances unused for longest leave where there are too many.

        `bodies`: of each instance that has changed.
        """
        for key, held in instances.items():
            self._instances[key] = held
            self._instances.move_to_end(key)
        self._nodes.update(nodes)
        while len(self._instances) > self.room:
            self._instances.popitem(last=False)
        for key, body in bodies.items():
            self._bytes += len(body) - len(self._bodies.pop(key, b""))
            self._bodies[key] = body
        while self._bytes > self.room_bytes:
            self._bytes -= len(self._bodies.popitem(last=False)[1])
