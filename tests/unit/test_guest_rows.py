"""Rows of what an instance holds: each fact leaves them as the state has it."""

from __future__ import annotations

import json

from conductor.rows import state_rows
from projections.rows import TABLES, Changes, Key, Row
from tests.beginnings import SIDE_ACTIONS, begin
from tests.hosts import World
from tests.parts import NETWORK, OTHER_VOLUME, PORT, VOLUME, wishes
from tests.story import SMALL, must

HELD = ("block_device_mapping", "virtual_interfaces", "accelerators", "instance_metadata", "tags")


class Rows:
    """A database of one instance: the rows that each fact of its story leaves."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Key, Row]] = {name: {} for name in TABLES}

    def follow(self, world: World) -> None:
        """Take over what a whole story leaves, fact by fact."""
        replay = World(rules=world.rules)
        for envelope in world.history:
            before = replay.held
            after = replay.tell(envelope).after
            if after is None or after is before:
                continue
            changes: Changes = {}
            state_rows(changes, before, after, 0, b"")
            for table, rows in changes.items():
                for key, row in rows.items():
                    if row is None:
                        del self.tables[table][key]
                    else:
                        self.tables[table][key] = row

    def of(self, table: str) -> list[tuple[object, ...]]:
        """Return the rows of a table without the instance that all have in common."""
        return [tuple(row)[1:] for _, row in sorted(self.tables[table].items())]


def followed(world: World) -> Rows:
    rows = Rows()
    rows.follow(world)
    return rows


def test_a_guest_that_holds_nothing_has_no_rows_of_it() -> None:
    world = World()
    must(world.request("create", flavor=SMALL))
    world.settle()

    assert [followed(world).of(table) for table in HELD] == [[]] * len(HELD)


def test_what_a_guest_holds_is_in_the_rows() -> None:
    world = World()
    arguments = wishes(
        **{"accel:device_profile": "gpu", "metadata": '{"role": "db"}', "tags": '["blue"]'}
    )
    must(world.request("create", flavor=SMALL, arguments=arguments))
    world.settle()
    rows, at = followed(world), world.here.created_at

    assert rows.of("block_device_mapping") == [
        (VOLUME, "/dev/vdb", None, "volume", "volume", 0, "in-use", "h1", at)
    ]
    assert rows.of("virtual_interfaces") == [(PORT, NETWORK, "10.0.0.5", "in-use", "h1", "h1", at)]
    (accelerator,) = rows.of("accelerators")
    assert accelerator[1:] == ("gpu", "h1", at)
    assert rows.of("instance_metadata") == [("role", "db")]
    assert rows.of("tags") == [("blue",)]


def test_rows_go_with_what_they_are_about() -> None:
    for action in SIDE_ACTIONS:
        world = begin(action)
        world.settle()
        held = world.here
        rows = followed(world)

        assert [r[0] for r in rows.of("block_device_mapping")] == sorted(
            v.volume.volume_id for v in held.volumes
        )
        assert [r[0] for r in rows.of("virtual_interfaces")] == sorted(
            p.port.port_id for p in held.ports
        )


def test_a_swap_exchanges_the_row() -> None:
    world = begin("swap_volume")
    world.settle()

    assert [r[0] for r in followed(world).of("block_device_mapping")] == [OTHER_VOLUME]


def test_a_deleted_instance_leaves_none() -> None:
    world = begin("delete")
    must(world.request("update_tags", arguments={"tags": json.dumps(["a"])}))
    world.settle()
    rows = followed(world)

    assert [rows.of(table) for table in HELD] == [[]] * len(HELD)
