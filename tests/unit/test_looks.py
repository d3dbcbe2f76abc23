"""When the owner's turns look into the database: after something came, and not at rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from conductor.limits import SOON_LOOK_S
from conductor.wiring import Conductor, Options, Ports
from events.codec import decode_fact
from events.errors import LogUnavailable
from events.log import LogWriter
from projections.schema import upgrade
from projections.sql_store import SqlStore, open_store
from tests.stage import INSTANCE, Stage
from tests.unit.compute_host import KEYRING, SMALL, TOPICS, BreakableWriter

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
def conducting(
    stage: Stage, folder: Path, writer: LogWriter | None = None
) -> Iterator[tuple[Conductor, Counted]]:
    """Give a conductor on the log of a stage, at rest, and what it asks of its database."""
    url = f"sqlite:///{folder / 'rows.sqlite'}"
    upgrade(url)
    log, store = stage.cloud.log, Counted(open_store(url))
    ports = Ports(
        group=log.group("conductors"),
        reader=log.reader(),
        writer=writer or log.writer(),
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


def test_whoever_asks_for_a_host_is_answered_without_a_look(tmp_path: Path) -> None:
    stage = Stage()
    with conducting(stage, tmp_path) as (conductor, store):
        stage.ask("create", flavor=SMALL)
        turns(conductor, 10)

        assert store.asked["decide"] == 1
        assert store.looks() == {}
        assert store.asked == Counter()
        said = stage.cloud.records(stage.partition.topic)
        facts = [type(decode_fact(each.value or b"")[1]).__name__ for each in said]
        assert facts[-2:] == ["ActionRequested", "NoValidHost"]
        ends = stage.cloud.log.reader().end_offsets([stage.partition])
        assert {
            stage.partition: conductor.owned.partitions[stage.partition].fold.next_offset
        } == ends


def test_an_answer_that_the_log_may_not_have_is_told_again_and_not_chosen_anew(
    tmp_path: Path,
) -> None:
    stage = Stage()
    writer = BreakableWriter(stage.cloud.log.writer())
    with conducting(stage, tmp_path, writer) as (conductor, store):
        writer.is_away = True
        stage.ask("create", flavor=SMALL)
        for _ in range(3):
            with suppress(LogUnavailable):
                conductor.turn()
        writer.is_away = False

        turns(conductor, 10)

        assert store.asked["decide"] == 1
        assert store.asked["told"] == 1
        ends = [r for r in stage.cloud.records(stage.partition.topic) if r.key == INSTANCE.encode()]
        facts = [type(decode_fact(each.value or b"")[1]).__name__ for each in ends]
        assert facts == ["ActionRequested", "NoValidHost"]
