"""The states that a fold keeps between batches: read in bulk, bounded, dropped when in doubt."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping

from conductor.bodies import HELD_CODEC, NODE_CODEC
from conductor.limits import CACHE_INSTANCES_MAX
from statemachines.held import Held
from statemachines.node import NodeHeld

#: Reads the stored body of each key that has one.
Load = Callable[[Collection[str]], Mapping[str, bytes]]


class States:
    """Instances or hosts by key, as they were after the last batch that is known to be written."""

    def __init__(self, load: Load) -> None:
        self._load = load
        #: Instances that may stay between batches.
        self.room = CACHE_INSTANCES_MAX
        self._instances: OrderedDict[str, Held | None] = OrderedDict()
        self._nodes: dict[str, NodeHeld | None] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._instances.clear()
        self._nodes.clear()

    def prefetch(self, keys: Collection[str]) -> None:
        """Read the states of the instances that are not here, in one query."""
        missing = sorted({key for key in keys if key not in self._instances})
        if not missing:
            return
        bodies = self._load(missing)
        for key in missing:
            body = bodies.get(key)
            held = None if body is None else HELD_CODEC.decode(body)
            self._instances[key] = held

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
        self, instances: Mapping[str, Held | None], nodes: Mapping[str, NodeHeld | None]
    ) -> None:
        """Go on from these; the instances unused for longest leave where there are too many."""
        for key, held in instances.items():
            self._instances[key] = held
            self._instances.move_to_end(key)
        self._nodes.update(nodes)
        while len(self._instances) > self.room:
            self._instances.popitem(last=False)
