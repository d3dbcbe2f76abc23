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
        #: Bodies that were used since the last look at which are, and those that were not.
        self._bodies: dict[str, bytes] = {}
        self._idle: dict[str, bytes] = {}
        self._bytes = self._refused = 0
        self._nodes: dict[str, NodeHeld | None] = {}

    def share(self, shares: int) -> None:
        """Take one of so many shares of the memory for states."""
        self.room = CACHE_VALUES_MAX // shares
        self.room_bytes = CACHE_BODIES_BYTES_MAX // shares

    def clear(self) -> None:
        """Forget everything."""
        self._instances.clear()
        self._bodies.clear()
        self._idle.clear()
        self._bytes = self._refused = 0
        self._nodes.clear()

    def prefetch(self, keys: Collection[str]) -> None:
        """Have the states of these instances here; those that are not are read in one query."""
        wanted = sorted({key for key in keys if key not in self._instances})
        bodies = {key: self._bodies.get(key) or self._idle.get(key) for key in wanted}
        if missing := [key for key, body in bodies.items() if body is None]:
            bodies.update(self._load(missing))
        for key, body in bodies.items():
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
            self._keep_body(key, body)
        if self._refused > len(self._bodies) + len(self._idle):
            self._bytes -= sum(map(len, self._idle.values()))
            self._idle, self._bodies, self._refused = self._bodies, {}, 0

    def _keep_body(self, key: str, body: bytes) -> None:
        """Keep a body if there is room, or was for the one before it.

        None leaves for it. Where more instances are active than there is room for, each in its
        turn, the one unused for longest is the next that is needed. Those that nobody used leave
        when as many were refused as are here.
        """
        known = self._bodies.pop(key, None) or self._idle.pop(key, b"")
        self._bytes += len(body) - len(known)
        if self._bytes > self.room_bytes:
            self._bytes -= len(body)
            self._refused += 1
        else:
            self._bodies[key] = body
