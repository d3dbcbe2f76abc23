from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from projections.bulk import bulk_of
from projections.engine import open_engine
from projections.rows import (
    ActionEventRow,
    ActionRow,
    FaultRow,
    MigrationRow,
    QuarantineRow,
    SagaStepRow,
)
from projections.sql_store import SqlStore
from projections.tables import METADATA, ROWS
from projections.transactions import writing
from projections.view_rows import Service
from projections.views import Views
from tests.contract.store_data import (
    Named,
    S,
    batch,
    claim,
    instance,
    node,
    order,
    own,
    parked,
    rejection,
    saga,
)


class Given:
    """Rows in an empty database, and the views of it."""

    def __init__(self) -> None:
        self.engine = open_engine("sqlite://")
        METADATA.create_all(self.engine)
        self.views = Views(self.engine)

    def rows(self, rows: Iterable[Named]) -> Views:
        with writing(self.engine) as connection:
            for table, row in rows:
                bulk_of(self.engine).upsert(connection, ROWS[table], [row])
        return self.views


@pytest.fixture
def given() -> Iterator[Given]:
    given = Given()
    yield given
    given.engine.dispose()


def action(request_id: str, uuid: str = "i1", start_time: int = 1) -> Named:
    row = ActionRow(uuid, request_id, "stop", "user", "project", start_time, None, None, None)
    return "instance_actions", row


def migration(number: int, uuid: str = "i1", status: str = "post-migrating") -> Named:
    row = MigrationRow(
        id=number,
        uuid=f"m{number}",
        instance_uuid=uuid,
        migration_type="resize",
        status=status,
        source_compute="host1",
        source_node="node1",
        dest_compute="host2",
        dest_node="node2",
        old_flavor="small",
        new_flavor="big",
        user_id="user",
        project_id="project",
        created_at=number,
        updated_at=number,
        memory_total=None,
        memory_processed=None,
        memory_remaining=None,
        disk_total=None,
        disk_processed=None,
        disk_remaining=None,
        status_provenance="judged",
    )
    return "migrations", row


def quarantined(offset: int, status: str = "waiting") -> Named:
    return "quarantine", QuarantineRow("t", 0, offset, "i1", "?", "size", "big", status, 1)


def test_instances_are_found_by_host_and_state_and_tombstones_only_on_demand(given: Given) -> None:
    rows = [
        instance("i1", created_at=2),
        instance("i2", created_at=1, vm_state="stopped"),
        instance("i3", host="host2"),
        instance("i4", vm_state="deleted", deleted=1),
    ]
    views = given.rows(rows)

    def uuids(**wanted: object) -> list[str]:
        return [row.uuid for row in views.instances(**wanted)]  # type: ignore[arg-type]  # as named

    assert uuids() == ["i2", "i3", "i1"]
    assert uuids(host="host1") == ["i2", "i1"]
    assert uuids(host="host1", vm_state="active") == ["i1"]
    assert uuids(deleted=True) == ["i2", "i3", "i4", "i1"]
    assert uuids(limit=1) == ["i2"]
    assert views.states() == {"active": 2, "stopped": 1}


def test_an_instance_is_found_by_uuid_and_by_name(given: Given) -> None:
    rows = [
        instance("i1", display_name="web", created_at=1),
        instance("i2", display_name="web", created_at=2),
        instance("i3", display_name="web", created_at=3, deleted=1),
    ]
    views = given.rows(rows)

    assert views.instance("i1") == rows[0][1]
    assert views.instance("i3") == rows[2][1]
    assert views.instance("web") == rows[1][1]
    assert views.instance("none") is None


def test_a_history_has_all_that_happened_to_one_instance(given: Given) -> None:
    event = ActionEventRow(2, "i1", "req-1", "compute_stop", "host1", 1, 2, "Success", None)
    fault = FaultRow(3, "i1", 500, "no", "", None, 1)
    rows: list[Named] = [
        action("req-2", start_time=2),
        action("req-1"),
        action("req-3", uuid="i2"),
        ("instance_actions_events", event),
        ("instance_faults", fault),
        migration(16),
        saga("s1"),
        saga("s2", instance_uuid="i2"),
        rejection(4),
    ]

    history = given.rows(rows).history("i1")

    assert [row.request_id for row in history.actions] == ["req-1", "req-2"]
    assert history.events == (event,)
    assert history.faults == (fault,)
    assert [row.id for row in history.migrations] == [16]
    assert [row.saga_id for row in history.sagas] == ["s1"]
    assert [row.offset for row in history.rejections] == [4]


def test_the_verdict_on_a_request_is_its_action_or_its_rejection_or_not_yet(given: Given) -> None:
    rows = [action("req-1"), rejection(4, "req-2")]
    views = given.rows(rows)

    assert views.verdict("req-1") == rows[0][1]
    assert views.verdict("req-2") == rows[1][1]
    assert views.verdict("req-3") is None


def test_a_refused_fact_of_an_accepted_request_is_not_its_verdict(given: Given) -> None:
    table, row = rejection(4, "req-1")
    late = row._replace(source="compute/host1")  # type: ignore[call-arg]  # a rejection has one
    views = given.rows([(table, late)])

    assert views.verdict("req-1") is None


def test_a_migration_is_found_by_uuid_and_by_id(given: Given) -> None:
    rows = [migration(16), migration(32, uuid="i2", status="done")]
    views = given.rows(rows)

    assert views.migration("16") == views.migration("m16") == rows[0][1]
    assert views.migration("17") is None
    assert views.migration("9" * 30) is None
    assert views.migrations(status="done") == (rows[1][1],)
    assert views.migrations(instance_uuid="i1") == (rows[0][1],)


def test_a_saga_is_shown_with_its_steps(given: Given) -> None:
    steps = [SagaStepRow("s1", n, "i1", "ask", n, "host1", n, None, None) for n in (2, 1, 3)]
    views = given.rows([saga("s1"), *(("saga_steps", each) for each in steps)])

    assert views.saga("s1") == saga("s1")[1]
    assert views.saga("s2") is None
    assert [row.n for row in views.saga_steps("s1")] == [1, 2, 3]
    assert views.sagas(status="ended") == ()


def test_stuck_is_what_needs_a_person_or_is_overdue(given: Given) -> None:
    rows = [
        saga("s1", status="needs_operator", entered_at=95 * S, reason="both"),
        saga("s2", deadline_s=10, entered_at=50 * S),
        saga("s3", deadline_s=50, entered_at=50 * S),
        saga("s4", deadline_s=0, entered_at=0),
        saga("s5", status="ended", deadline_s=1, entered_at=0),
    ]

    found = given.rows(rows).stuck(100 * S, overdue_s=20)

    assert [(each.saga_id, each.status, each.reason) for each in found] == [
        ("s2", "running", None),
        ("s1", "needs_operator", "both"),
    ]


def test_nothing_is_stuck_while_every_wait_is_inside_its_deadline(given: Given) -> None:
    store = SqlStore(given.engine)
    owned = own(store)
    rows = [saga(name, deadline_s=10, entered_at=0) for name in ("unsent", "sent", "forgotten")]
    orders = [order(name)._replace(saga_id=name, deadline_s=10) for name in ("unsent", "sent")]
    store.commit([batch(owned, rows=rows, orders=orders)])
    store.sent(owned, orders[1:], now_us=100 * S)

    def stuck(at_s: int) -> set[str]:
        return {str(each.saga_id) for each in given.views.stuck(at_s * S, overdue_s=5)}

    assert stuck(14) == set()
    assert stuck(110) == {"forgotten"}
    assert stuck(115) == {"forgotten"}
    assert stuck(116) == {"forgotten", "sent"}
    store.postpone(owned, 200 * S)  # as after an outage of the log
    assert stuck(116) == {"forgotten"}


def test_stuck_is_what_nova_left_in_the_middle_and_not_what_waits_for_a_user(given: Given) -> None:
    rows = [
        instance("i1", origin="nova", task_state="resize_finish", updated_at=10 * S),
        migration(16),
        instance("i2", origin="nova", vm_state="resized", updated_at=10 * S),
        migration(32, uuid="i2", status="finished"),
        instance("i3", origin="nova", updated_at=10 * S),
        migration(48, uuid="i3", status="confirming"),
        instance("i4", origin="nova", updated_at=10 * S),
        migration(64, uuid="i4", status="running"),
        migration(80, uuid="i4", status="completed"),
        instance("i5", origin="nova", task_state="spawning", updated_at=99 * S),
        instance("i6", origin="regente", task_state="spawning", updated_at=10 * S),
        instance("i7", origin="nova", task_state="rebooting", updated_at=11 * S),
    ]

    found = given.rows(rows).stuck(100 * S, overdue_s=20)

    assert [(each.instance_uuid, each.operation, each.at, each.task_state) for each in found] == [
        ("i1", "resize", "post-migrating", "resize_finish"),
        ("i3", "resize", "confirming", None),
        ("i7", None, None, "rebooting"),
    ]
    assert {each.status for each in found} == {"left"}


def test_what_waits_for_a_person_is_listed(given: Given) -> None:
    rows = [rejection(3), parked(4, "i1"), parked(5, "i2", "early"), quarantined(6)]
    views = given.rows([*rows, quarantined(7, "discarded")])

    assert views.rejections(code="illegal", source="api", subject="i1") == (rows[0][1],)
    assert views.rejections(code="other") == ()
    assert [row.offset for row in views.parked()] == [4, 5]
    assert [row.offset for row in views.parked("early")] == [5]
    assert [row.offset for row in views.quarantine()] == [6]
    assert [row.offset for row in views.quarantine(None)] == [6, 7]
    assert views.quarantined("t", 0, 6) == rows[3][1]
    assert views.quarantined("t", 1, 6) is None


def test_services_are_nodes_as_they_were_last_seen(given: Given) -> None:
    views = given.rows([node("host2"), node("host1", status="lost", boot_epoch=3, guest_count=2)])
    SqlStore(given.engine).seen({"host2": (1, 9 * S)})

    assert views.services() == (
        Service("host1", "host1.node", "lost", 3, 2, 0, 2),
        Service("host2", "host2.node", "started", 1, 0, 9 * S, 2),
    )
    assert [row.host for row in views.nodes()] == ["host1", "host2"]


def test_counts_are_of_rows_and_of_what_waits_for_a_turn(given: Given) -> None:
    views = given.rows([instance("i1"), instance("i2"), claim("i1", "host2"), claim("i2")])

    counts = views.counts()

    assert (counts["instances"], counts["claims"], counts["outbox"], counts["timers"]) == (
        2,
        2,
        0,
        0,
    )
    assert [row.host for row in views.claims()] == ["host1", "host2"]
    assert [row.host for row in views.claims("host2")] == ["host2"]
