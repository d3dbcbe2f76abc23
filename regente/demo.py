"""`make demo`: the main job on the embedded default, with its proof at the end.

A recorded nova replayed, then a small cloud in one process: servers are built, one is resized,
one moves live, a host dies in the middle of another migration, the conductor is killed and
started again; then the auditor folds the log anew. The exit status is 0 only if everything ended
as it is said here.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from compute.world import power_failure
from conductor.auditor import verify
from conductor.replay import Replay
from events.ports import RandomIds, SystemClock
from events.requests import ActionRequested
from events.seal import MasterKeyring
from events.sqlite_log import SqliteLog
from projections.engine import open_engine
from projections.rows import InstanceRow, MigrationRow
from projections.sql_store import open_store
from projections.views import Views
from regente.embedded import Embedded
from regente.flavors import FLAVORS
from regente.places import database_url, topics_of
from regente.requests import Requests
from regente.settings import Settings

#: The recording that is replayed: a resize that a real nova carried out and confirmed.
RECORDING: Final = "resize_confirm"
TRACES: Final = Path(__file__).parents[1] / "tests" / "data" / "traces"
#: Seconds that anything may take here; nothing takes more than a few.
PATIENCE_S: Final = 30.0
#: A host counts as lost after this; nova's default of 60 s would make a long demo.
SERVICE_DOWN_TIME_S: Final = 3
#: Turns that a guest's memory takes to be copied: long enough to see it, and to die meanwhile.
COPY_POLLS: Final = 40


class DemoFailed(Exception):
    """Something did not end as it should."""


@dataclass
class Demo:
    """A small cloud, and what is to be seen of it."""

    cloud: Embedded
    views: Views
    requests: Requests
    console: Console
    live: Live
    names: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def tell(self, text: str) -> None:
        """Say what happens, above the live view."""
        self.live.console.print(text)

    def ask(self, action: str, name: str, **fields: object) -> str:
        """Ask for an action as a user would; return the request id."""
        fact = ActionRequested(
            action=action,
            user_id="demo",
            project_id="demo",
            is_admin=True,
            **fields,  # type: ignore[arg-type]  # named fields of the fact
        )
        return self.requests.about(self.names[name], fact).request_id

    def build(self, name: str, flavor: str = "m1.small") -> None:
        """Ask for a server."""
        self.names[name] = RandomIds().uuid()
        self.ask("create", name, flavor=FLAVORS[flavor], arguments={"name": name})

    def instance(self, name: str) -> InstanceRow | None:
        """Return the row of a server."""
        return self.views.instance(self.names[name])

    def migration(self, name: str) -> MigrationRow | None:
        """Return the last move of a server."""
        moves = self.views.migrations(instance_uuid=self.names[name])
        return moves[-1] if moves else None

    def until(self, what: str, done: Callable[[], bool]) -> None:
        """Let everybody take turns until it is so; raises DemoFailed when it takes too long."""
        end = time.monotonic() + PATIENCE_S
        while not done():
            if not self.cloud.turn():
                SystemClock().sleep(0.02)
            self.live.update(self.picture())
            if time.monotonic() > end:
                raise DemoFailed(f"Expected {what} within {PATIENCE_S:.0f} s, but it is not so")
        self.live.update(self.picture())

    def settled(self, name: str, vm_state: str) -> Callable[[], bool]:
        """Return the question whether a server is at rest in a vm_state, its sagas ended."""

        def done() -> bool:
            row = self.instance(name)
            sagas = self.views.sagas(instance_uuid=self.names[name])
            ended = all(s.status == "ended" for s in sagas if s.is_primary)
            return (
                row is not None
                and (row.vm_state, row.task_state) == (vm_state, None)
                and bool(sagas)
                and ended
            )

        return done

    def picture(self) -> Table:
        """Return what is in the rows now."""
        table = Table(title="instances and their last migration", expand=False)
        for column in ("server", "vm_state", "task_state", "host", "flavor", "migration"):
            table.add_column(column)
        for name in self.names:
            row, move = self.instance(name), self.migration(name)
            if row is None:
                table.add_row(name, "requested", "", "", "", "")
                continue
            moved = "" if move is None else f"{move.migration_type} {move.status}"
            table.add_row(
                name,
                row.vm_state,
                row.task_state or "-",
                row.host or "-",
                row.flavor_name,
                moved,
            )
        return table


def main() -> int:
    """Run the demo; return 0 if everything held."""
    console = Console(highlight=False)
    begin = time.monotonic()
    try:
        replay_nova(console)
        with tempfile.TemporaryDirectory(prefix="regente-demo-") as folder:
            run_cloud(console, Path(folder))
    except DemoFailed as failed:
        console.print(f"[bold red]The demo failed:[/] {failed}")
        return 1
    console.print(f"[bold green]Everything held[/] ({time.monotonic() - begin:.0f} s).")
    return 0


def replay_nova(console: Console) -> None:
    """Replay a recording of a real nova and compare the rows with what its API said."""
    console.rule("1. A recorded nova, replayed")
    from regente.cli.app import run as command

    said = StringIO()
    argv = ["shadow", "replay", str(TRACES / f"{RECORDING}.notifications.jsonl"), "-f", "json"]
    with redirect_stdout(said):
        status = command(argv)
    if status:
        raise DemoFailed(f"Expected `regente {' '.join(argv)}` to exit with 0, but {status}")
    rows = json.loads(said.getvalue())
    api = json.loads((TRACES / f"{RECORDING}.api.json").read_text())
    server = api["server"]
    wanted = (
        server["OS-EXT-STS:vm_state"],
        server["OS-EXT-STS:task_state"],
        server["OS-EXT-SRV-ATTR:host"],
        [(m["migration_type"], m["status"]) for m in api["migrations"]],
    )
    (row,) = (r for r in rows["instances"] if r["uuid"] == server["id"])
    moves = [(m["migration_type"], m["status"]) for m in rows["migrations"]]
    found = (row["vm_state"], row["task_state"], row["host"], moves)
    console.print(f"  nova's API at the end: {wanted}\n  our rows at the end:   {found}")
    if wanted != found:
        raise DemoFailed("Expected the rows to end where nova's API ended, but they differ")


def run_cloud(console: Console, folder: Path) -> None:
    """Run a small cloud through its main job, faults included, and prove its rows."""
    console.rule("2. A small cloud: three hosts, one conductor, one process")
    settings = Settings(state_dir=folder, service_down_time=SERVICE_DOWN_TIME_S, report_interval=1)
    clock = SystemClock()
    cloud = Embedded(settings, 3, clock, copy_polls=COPY_POLLS)
    engine = open_engine(database_url(settings, cloud.folder))
    requests = Requests(
        log=SqliteLog(cloud.folder.log, clock),
        topics=topics_of(settings),
        master=cloud.folder.master(),
        clock=clock,
        ids=RandomIds(),
    )
    try:
        with Live(console=console, refresh_per_second=8, transient=False) as live:
            demo = Demo(cloud, Views(engine), requests, console, live)
            story(demo)
    finally:
        cloud.stop()
        engine.dispose()
    prove(console, settings, cloud)


def story(demo: Demo) -> None:
    """Build, resize, migrate, kill a host, kill the conductor."""
    up = ("started",) * len(demo.cloud.agents)
    demo.until("the hosts to be up", lambda: tuple(s.status for s in demo.views.services()) == up)
    demo.tell("Building web1, web2 and db1.")
    for name in ("web1", "web2", "db1"):
        demo.build(name)
    for name in ("web1", "web2", "db1"):
        demo.until(f"{name} to be active", demo.settled(name, "active"))
    _resize_and_confirm(demo)
    _live_migrate(demo)
    _kill_a_host(demo)
    _kill_the_conductor(demo)


def _resize_and_confirm(demo: Demo) -> None:
    demo.tell("Resizing db1 to m1.medium, then confirming it.")
    demo.ask("resize", "db1", flavor=FLAVORS["m1.medium"])
    demo.until("db1 to be resized", demo.settled("db1", "resized"))
    demo.ask("confirm_resize", "db1")
    demo.until("the resize to be confirmed", demo.settled("db1", "active"))
    _expect_move(demo, "db1", "confirmed")


def _live_migrate(demo: Demo) -> None:
    before = _host_of(demo, "web1")
    demo.tell(f"Live-migrating web1 away from {before}.")
    demo.ask("live_migrate", "web1")
    demo.until("web1's migration to be completed", _move_is(demo, "web1", ("completed",)))
    if _host_of(demo, "web1") == before:
        raise DemoFailed(f"Expected web1 on another host than {before}, but it is still there")


def _kill_a_host(demo: Demo) -> None:
    """The destination dies while memory is being copied: the guest stays, the move is undone."""
    home = _host_of(demo, "web2")
    demo.ask("live_migrate", "web2")
    demo.until("web2's memory to be copied", _move_is(demo, "web2", ("running",)))
    move = demo.migration("web2")
    assert move is not None
    assert move.dest_compute is not None
    dead = move.dest_compute
    demo.tell(f"[red]{dead} dies[/] while web2's memory is copied there from {home}.")
    demo.cloud.kill_host(dead)
    power_failure(demo.cloud.world, dead)
    over = ("failed", "error", "completed")
    demo.until("web2's migration to be over", _move_is(demo, "web2", over))
    demo.until("web2's saga to end", _no_saga_runs(demo, "web2"))
    row, move = demo.instance("web2"), demo.migration("web2")
    assert row is not None
    assert move is not None
    demo.tell(f"  web2 is {row.vm_state} on {row.host}; the migration ended {move.status}.")
    demo.tell(f"{dead} comes back, and cleans up what it still owes.")
    demo.cloud.start_host(dead)
    demo.until("nothing to be owed any more", lambda: not demo.views.sagas(status="running"))


def _kill_the_conductor(demo: Demo) -> None:
    demo.tell("Stopping db1, and [red]killing the conductor[/] before the answer is heard.")
    demo.ask("stop", "db1")
    demo.until("db1 to be powering off", lambda: _task_of(demo, "db1") == "powering-off")
    demo.cloud.kill_conductor()
    for _ in range(20):
        demo.cloud.turn()
    demo.tell("A new conductor takes over.")
    demo.cloud.start_conductor()
    demo.until("db1 to be stopped", demo.settled("db1", "stopped"))


def _host_of(demo: Demo, name: str) -> str | None:
    row = demo.instance(name)
    return None if row is None else row.host


def _task_of(demo: Demo, name: str) -> str | None:
    row = demo.instance(name)
    return None if row is None else row.task_state


def _move_is(demo: Demo, name: str, statuses: Sequence[str]) -> Callable[[], bool]:
    def done() -> bool:
        move = demo.migration(name)
        return move is not None and move.status in statuses

    return done


def _no_saga_runs(demo: Demo, name: str) -> Callable[[], bool]:
    def done() -> bool:
        sagas = demo.views.sagas(instance_uuid=demo.names[name])
        return all(s.status == "ended" for s in sagas if s.is_primary)

    return done


def _expect_move(demo: Demo, name: str, status: str) -> None:
    move = demo.migration(name)
    found = None if move is None else move.status
    if found != status:
        raise DemoFailed(f"Expected the move of {name} to end {status}, but {found}")


def prove(console: Console, settings: Settings, cloud: Embedded) -> None:
    """Fold the log again and compare every row; raises DemoFailed where they differ."""
    console.rule("3. The proof: the log folded again, compared with the rows")
    store = open_store(database_url(settings, cloud.folder))
    reader = SqliteLog(cloud.folder.log, SystemClock()).reader()
    try:
        replay = Replay(
            reader=reader,
            keyring=MasterKeyring(cloud.folder.master()),
            topics=topics_of(settings),
            check_form=True,
        )
        audit = verify(store, replay)
    finally:
        reader.close()
        store.close()
    rows = sum(audit.rows.values())
    console.print(
        f"  {sum(audit.counts.values())} records folded, {rows} rows in {len(audit.rows)} tables"
        f" compared, {audit.difference_count} differences"
    )
    for difference in audit.differences[:20]:
        console.print(f"  {difference}")
    if not audit.is_equal or audit.odd:
        raise DemoFailed("Expected the rows to say what the log says, but they do not")


if __name__ == "__main__":
    sys.exit(main())
