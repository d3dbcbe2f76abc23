"""A conductor on the log of a stage, with rows in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conductor.wiring import Conductor, Options, Ports
from events.log import LogGroup
from projections.schema import upgrade
from projections.sql_store import SqlStore, open_store
from tests.stage import Stage
from tests.unit.compute_host import KEYRING, TOPICS


@contextmanager
def conducting(
    stage: Stage,
    folder: Path,
    *,
    group: Callable[[LogGroup], Any] = lambda group: group,
    store: Callable[[SqlStore], Any] = lambda store: store,
) -> Iterator[tuple[Conductor, Ports]]:
    """Give a conductor and its ports; `group` and `store` say what stands before these two."""
    url = f"sqlite:///{folder / 'rows.sqlite'}"
    upgrade(url)
    log, opened = stage.cloud.log, open_store(url)
    ports = Ports(
        group=group(log.group("conductors")),
        reader=log.reader(),
        writer=log.writer(),
        store=store(opened),
        clock=stage.cloud.clock,
        keyring=KEYRING,
        topics=TOPICS,
    )
    yield Conductor(ports, Options()), ports
    opened.close()
