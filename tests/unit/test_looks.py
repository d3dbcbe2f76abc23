"""When the owner's turns look into the database: after something came, and not at rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from conductor.limits import SOON_LOOK_S
from conductor.wiring import Conductor, Options, Ports
from projections.schema import upgrade
from projections.sql_store import SqlStore, open_store
from tests.stage import Stage
from tests.unit.compute_host import KEYRING, SMALL, TOPICS

#: What the relay, the scheduler and the timers ask of a database to know whether there is work.
LOOKS = ("unsent", "answers", "due")


class Counted:
    """A store that counts what it is asked."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return partial(self._ask, name)

    def _ask(self, name: str, *args: Any, **named: Any) -> Any:
        self.asked[name] += 1
        return getattr(self._store, name)(*args, **named)

    def looks(self) -> dict[str, int]:
        """Return how often it was asked for work, and count from nothing again."""
        found = {name: self.asked[name] for name in LOOKS if self.asked[name]}
        self.asked.clear()
        return found


@contextmanager
def conducting(stage: Stage, folder: Path) -> Iterator[tuple[Conductor, Counted]]:
    """Give a conductor on the log of a stage, at rest, and what it asks of its database."""
    url = f"sqlite:///{folder / 'rows.sqlite'}"
    upgrade(url)
    log, store = stage.cloud.log, Counted(open_store(url))
    ports = Ports(
        group=log.group("conductors"),
        reader=log.reader(),
        writer=log.writer(),
        store=store,
        clock=stage.cloud.clock,
        keyring=KEYRING,
        topics=TOPICS,
    )
    conductor = Conductor(ports, Options())
    turns(conductor, 20)
    store.asked.clear()
    yield conductor, store
    store.close()


def turns(conductor: Conductor, count: int) -> None:
    """Give a conductor so many turns."""
    for _ in range(count):
        conductor.turn()


def test_nobody_looks_for_orders_where_none_came(tmp_path: Path) -> None:
    with conducting(Stage(), tmp_path) as (conductor, store):
        turns(conductor, 10)

        assert store.looks() == {}


def test_deadlines_are_looked_for_now_and_then(tmp_path: Path) -> None:
    stage = Stage()
    with conducting(stage, tmp_path) as (conductor, store):
        for _ in range(3):
            stage.cloud.clock.sleep(SOON_LOOK_S)
            turns(conductor, 10)

        assert store.looks() == {"due": 3}


def test_whoever_asks_for_a_host_has_it_looked_for_until_the_log_is_told(tmp_path: Path) -> None:
    stage = Stage()
    with conducting(stage, tmp_path) as (conductor, store):
        stage.ask("create", flavor=SMALL)
        turns(conductor, 10)

        assert store.looks() == {"unsent": 1, "answers": 1}
        assert store.asked == Counter()
        turns(conductor, 10)
        assert store.looks() == {}
        ends = stage.cloud.log.reader().end_offsets([stage.partition])
        assert {
            stage.partition: conductor.owned.partitions[stage.partition].fold.next_offset
        } == ends
