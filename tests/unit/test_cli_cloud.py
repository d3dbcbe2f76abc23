"""Requests and views on a cloud in this process: while one waits, everybody takes turns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest

from events.log import Message, TopicPartition
from events.node import NodeForcedDown, NodeForcedUp
from events.ports import RandomIds, SystemClock
from events.requests import SagaResolved
from projections.views import Views
from regente.asking import Answer, Desk, Wish
from regente.cli.app import run
from regente.cli.exits import Exit
from regente.conducting import options_of
from regente.deeds import Deeds
from regente.embedded import Embedded
from regente.naming import UnknownThing
from regente.places import database_url, open_log, opened_views, topics_of
from regente.requests import Requests
from regente.settings import Settings
from regente.state_folder import StateError
from tests.parts import OTHER_VOLUME, PORT, VOLUME, wishes


class TurningClock(SystemClock):
    """Waiting is letting the others work."""

    cloud: Embedded

    def sleep(self, seconds: float) -> None:
        self.cloud.turn()


class Cloud:
    """Two hosts and a conductor, and a desk that takes requests."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(state_dir=folder)
        self.clock = TurningClock()
        self.embedded = self.clock.cloud = Embedded(self.settings, 2, self.clock)
        self.url = database_url(self.settings, self.embedded.folder)
        self.requests = Requests(
            log=open_log(self.settings, self.embedded.folder),
            topics=topics_of(self.settings),
            master=self.embedded.folder.master(),
            clock=self.clock,
            ids=RandomIds(),
        )
        self.until_idle()

    def until_idle(self) -> None:
        """Let everybody work until nobody has had work for a while."""
        idle = 0
        while idle < 3:
            idle = 0 if self.embedded.turn() else idle + 1

    @contextmanager
    def desk(self) -> Iterator[tuple[Desk, Views]]:
        with opened_views(self.url) as views:
            yield (
                Desk(
                    views=views,
                    requests=self.requests,
                    clock=self.clock,
                    ids=RandomIds(),
                    options=options_of(self.settings).scheduler,
                ),
                views,
            )

    def ask(self, action: str, instance: str, host: str | None = None, **arguments: str) -> Answer:
        """Ask, and let it end."""
        wish = Wish(action=action, instance=instance, arguments=arguments, host=host, is_admin=True)
        with self.desk() as (desk, _):
            answer = desk.verdict(*desk.send(wish))
            if answer.saga_id is not None:
                desk.ending(answer.saga_id, 30)
        return answer

    def command(self, *argv: str) -> tuple[int, str]:
        """Run a command on the cloud's folder."""
        out = StringIO()
        folder = ("--state-dir", str(self.settings.state_dir))
        status = run([*folder, *argv], out=out, err=StringIO())
        return status, out.getvalue()

    def rows(self, *argv: str) -> list[dict[str, object]]:
        status, out = self.command(*argv, "-f", "json")
        assert status == 0
        found: list[dict[str, object]] = json.loads(out)
        return found


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("cloud") / "state")
    made.ask("create", "web1", flavor="m1.small")
    yield made
    made.embedded.stop()


def test_a_request_that_is_taken_is_accepted_and_its_saga_ends(cloud: Cloud) -> None:
    answer = cloud.ask("create", "db1", flavor="m1.tiny")

    assert (answer.verdict, answer.reason) == ("accepted", None)
    (row,) = [r for r in cloud.rows("instance", "list") if r["display_name"] == "db1"]
    assert (row["vm_state"], row["task_state"], row["power_state"]) == ("active", None, 1)
    assert row["uuid"] == answer.instance_uuid


def test_a_request_that_may_not_be_is_refused_with_novas_sentence(cloud: Cloud) -> None:
    answer = cloud.ask("unpause", "web1")

    assert answer.verdict == "refused"
    assert answer.reason == (
        f"Cannot 'unpause' instance {answer.instance_uuid} while it is in vm_state active"
    )


def test_a_request_that_nobody_judges_is_pending_and_stands(cloud: Cloud) -> None:
    wish = Wish(action="lock", instance="web1")
    with cloud.desk() as (desk, _):
        sent, uuid = desk.send(wish)
        pending = desk.verdict(sent, uuid, within_s=0)
        judged = desk.verdict(sent, uuid)
    cloud.ask("unlock", "web1")

    assert pending == Answer(sent.request_id, uuid, "pending", None, None, None)
    assert judged.verdict == "accepted"


@pytest.mark.parametrize(
    ("action", "name", "arguments", "sentence"),
    [
        ("stopp", "web1", {}, r"59 actions, but stopp\. Did you mean .*stop"),
        ("frobnicate", "web1", {}, r"59 actions, but frobnicate\.$"),
        ("stop", "nobody", {}, r"uuid or name nobody, but there is none"),
        ("create", "web9", {}, r"flavor=NAME of m1\.tiny.* but a create names none"),
        ("set_admin_password", "web1", {"new_pass": "hunter2"}, "Expected no secret, but new_pass"),
    ],
)
def test_what_nobody_knows_is_named_and_nothing_is_appended(
    cloud: Cloud, action: str, name: str, arguments: dict[str, str], sentence: str
) -> None:
    with cloud.desk() as (desk, _), pytest.raises(UnknownThing, match=sentence):
        desk.send(Wish(action=action, instance=name, arguments=arguments))


def test_what_an_instance_holds_is_shown_and_verified(cloud: Cloud) -> None:
    wanted = wishes(metadata='{"role": "db"}', tags='["blue"]')
    del wanted["name"]
    cloud.ask("create", "vol1", flavor="m1.tiny", **wanted)
    attached = cloud.ask("attach_volume", "vol1", volume_id=OTHER_VOLUME)
    again = cloud.ask("attach_volume", "vol1", volume_id=OTHER_VOLUME)
    assert (attached.verdict, again.verdict) == ("accepted", "refused")

    shown = json.loads(cloud.command("instance", "show", "vol1", "-f", "json")[1])

    volumes = {v["volume_id"]: (v["status"], v["hosts"]) for v in shown["block_device_mapping"]}
    assert volumes == dict.fromkeys((VOLUME, OTHER_VOLUME), ("in-use", shown["host"]))
    (port,) = shown["virtual_interfaces"]
    assert (port["uuid"], port["fixed_ips"]) == (PORT, "10.0.0.5")
    assert port["active_host"] == shown["host"]
    assert [(m["key"], m["value"]) for m in shown["metadata"]] == [("role", "db")]
    assert [t["tag"] for t in shown["tags"]] == ["blue"]
    assert cloud.command("audit", "verify")[0] == 0


def test_moves_and_sagas_and_history_are_shown(cloud: Cloud) -> None:
    cloud.ask("live_migrate", "web1")

    (move,) = cloud.rows("migration", "list", "--instance", "web1")
    assert (move["migration_type"], move["status"]) == ("live-migration", "completed")
    assert cloud.command("migration", "show", str(move["id"]))[0] == 0
    sagas = cloud.rows("saga", "list", "--instance", "web1")
    assert {s["saga"] for s in sagas} >= {"create", "live_migration"}
    shown = json.loads(cloud.command("saga", "show", str(sagas[0]["saga_id"]), "-f", "json")[1])
    assert [s["step"] for s in shown["steps"]] == ["schedule", "build"]
    assert shown["way_back"] is None  # It has ended.
    past = json.loads(cloud.command("instance", "history", "web1", "-f", "json")[1])
    assert past["actions"][0]["action"] == "create"
    assert cloud.rows("saga", "list", "--stuck") == []


def test_the_operators_word_about_a_saga_that_does_not_wait_is_refused(cloud: Cloud) -> None:
    with cloud.desk() as (_, views):
        (web1,) = [r for r in views.instances() if r.display_name == "web1"]
        saga = views.sagas(instance_uuid=web1.uuid)[0]
        sent = cloud.requests.about(
            web1.uuid, SagaResolved(saga_id=saga.saga_id, user_id="me", reason="try")
        )
        told = Deeds(cloud.url, views, cloud.clock).verdict(sent)

    assert (told.verdict, told.exit_name) == ("refused", "NO")


def test_a_second_one_on_the_same_folder_is_refused(cloud: Cloud) -> None:
    with pytest.raises(StateError, match=r"Expected nobody to run on .*, but process \d+ does"):
        Embedded(cloud.settings, 1, cloud.clock)


def test_the_log_is_shown_decoded_and_with_its_seals(cloud: Cloud) -> None:
    _, out = cloud.command("log", "cat", "--instance", "web1", "-f", "json")

    records = [json.loads(line) for line in out.splitlines()]
    assert records[0]["fact"] == "ActionRequested"
    assert records[0]["payload"]["arguments"] == {"name": "web1"}
    assert {r["verification"]["ok"] for r in records} == {True}
    assert {"compute/host1", "compute/host2", "api", "conductor"} >= {r["source"] for r in records}


def test_commands_of_a_host_are_shown_too(cloud: Cloud) -> None:
    (host,) = {r["host"] for r in cloud.rows("instance", "list") if r["display_name"] == "web1"}

    _, out = cloud.command("log", "cat", "--topic", f"commands.{host}", "-f", "json")

    records = [json.loads(line) for line in out.splitlines()]
    assert records
    assert {r["verification"]["ok"] for r in records} == {True}


def test_what_is_no_fact_is_in_quarantine_until_somebody_discards_it(cloud: Cloud) -> None:
    at = TopicPartition(topics_of(cloud.settings).instance_events, 1)
    writer = open_log(cloud.settings, cloud.embedded.folder).writer()
    (offset,) = writer.append([Message(*at, b"nobody", b"rubbish")])
    writer.close()
    cloud.until_idle()

    (row,) = cloud.rows("quarantine", "list")
    assert (row["position"], row["code"]) == (f"{at.topic}/1@{offset}", "no-mac")
    shown = json.loads(cloud.command("quarantine", "show", str(row["position"]), "-f", "json")[1])
    assert shown["record"]["verification"]["ok"] is False
    assert cloud.command("quarantine", "show", f"{at.topic}/1@{offset + 1}")[0] == 1

    doctor = cloud.command("doctor", "-f", "json")
    findings = {f["check"]: f for f in json.loads(doctor[1])}
    assert doctor[0] == 1
    assert findings["quarantine"]["status"] == "warning"
    assert findings["lag"]["status"] == findings["rules"]["status"] == "ok"


def test_verify_names_each_difference_and_rebuild_removes_them(cloud: Cloud) -> None:
    cloud.until_idle()
    assert cloud.command("audit", "verify")[0] == 0
    with sqlite3.connect(cloud.embedded.folder.rows) as rows:
        rows.execute("UPDATE instances SET vm_state = 'stopped' WHERE display_name = 'web1'")
    rows.close()

    status, out = cloud.command("audit", "verify", "-f", "json")
    (difference,) = json.loads(out)["differences"]
    assert status == 1
    assert (difference["table"], difference["column"]) == ("instances", "vm_state")
    assert (difference["log"], difference["database"]) == ("active", "stopped")
    assert cloud.command("rebuild", "--dry-run")[0] == 1
    assert cloud.command("rebuild", "--yes")[0] == 0
    assert cloud.command("audit", "verify")[0] == 0


def test_one_instance_is_made_again_and_its_conductor_goes_on(cloud: Cloud) -> None:
    cloud.until_idle()
    with cloud.desk() as (_, views):
        (web1,) = [r for r in views.instances() if r.display_name == "web1"]
    with sqlite3.connect(cloud.embedded.folder.rows) as rows:
        rows.execute("UPDATE instances SET host = 'nowhere' WHERE uuid = ?", (web1.uuid,))
        rows.execute("DELETE FROM claims WHERE instance_uuid = ?", (web1.uuid,))
        rows.execute("DELETE FROM instance_states WHERE instance_uuid = ?", (web1.uuid,))
    rows.close()

    status, out = cloud.command("rebuild", "--instance", web1.uuid, "--dry-run", "-f", "json")
    assert (status, json.loads(out)["switched"]) == (1, False)
    assert json.loads(out)["different"] == ["instances", "instance_states", "claims"]
    assert cloud.command("audit", "verify")[0] == 1
    assert cloud.command("rebuild", "--instance", web1.uuid, "--yes")[0] == 0

    assert cloud.command("audit", "verify")[0] == 0
    assert cloud.command("rebuild", "--instance", web1.uuid, "--dry-run")[0] == 0
    assert cloud.ask("reboot_hard", web1.uuid).verdict == "accepted"
    assert cloud.command("audit", "verify")[0] == 0


def test_the_log_is_replayed_up_to_a_point(cloud: Cloud) -> None:
    with cloud.desk() as (_, views):
        (web1,) = [r for r in views.instances() if r.display_name == "web1"]
    _, out = cloud.command("log", "cat", "--instance", web1.uuid, "-f", "json")
    first = json.loads(out.splitlines()[0])["offset"]

    status, out = cloud.command(
        "audit", "replay", "--instance", web1.uuid, "--to", str(first + 1), "-f", "json"
    )

    (row,) = json.loads(out)["instances"]
    assert status == 0
    assert (row["vm_state"], row["task_state"]) == ("building", "scheduling")
    assert cloud.command("audit", "replay", "--instance", web1.uuid, "--to", "0")[0] == 1


@pytest.mark.parametrize(
    ("action", "name", "host", "arguments", "code"),
    [
        ("create", "web9", None, {"flavor": "huge"}, "unknown-flavor"),
        ("resize", "web1", None, {"flavor": "huge"}, "unknown-flavor"),
        ("stop", "7a1f0a3e-52c4-4c5c-8a6e-0d1f3f1f5b11", None, {}, "unknown-instance"),
        ("migrate", "web1", "nowhere", {}, "unknown-host"),
        ("live_migrate", "web1", "nowhere", {}, "unknown-host"),
        ("create", "web9", "nowhere", {"flavor": "m1.tiny"}, "unknown-host"),
    ],
)
def test_bad_input_is_refused_with_a_code_of_its_own_and_the_refusal_is_recorded(
    cloud: Cloud,
    action: str,
    name: str,
    host: str | None,
    arguments: dict[str, str],
    code: str,
) -> None:
    before = cloud.rows("instance", "list")

    answer = cloud.ask(action, name, host, **arguments)

    with cloud.desk() as (_, views):
        (row,) = [r for r in views.rejections() if r.request_id == answer.request_id]
    assert (answer.verdict, answer.reason) == ("refused", row.reason)
    assert row.code == answer.code == code
    assert cloud.rows("instance", "list") == before


def test_the_own_host_and_a_full_one_are_refused_by_what_the_api_saw(cloud: Cloud) -> None:
    (web1,) = [r for r in cloud.rows("instance", "list") if r["display_name"] == "web1"]
    own = str(web1["host"])
    (other,) = {str(r["host"]) for r in cloud.rows("node", "list")} - {own}

    same = cloud.ask("live_migrate", "web1", own)
    settings = Settings(state_dir=cloud.settings.state_dir, reserved_host_memory_mb=10**9)
    cloud.settings, kept = settings, cloud.settings
    full = cloud.ask("migrate", "web1", other)
    cloud.settings = kept

    with cloud.desk() as (_, views):
        codes = {r.request_id: r.code for r in views.rejections()}
    assert codes[same.request_id] == "same-host"
    assert codes[full.request_id] == "host-full"


def test_a_host_is_forced_down_and_what_was_on_it_evacuated(cloud: Cloud) -> None:
    cloud.ask("create", "lost1", host="host2", flavor="m1.tiny")
    cloud.ask("stop", "lost1")
    refused = cloud.ask("evacuate", "lost1")
    assert refused.verdict == "refused"
    assert "Compute service of host2 is still in use." in str(refused.reason)
    with cloud.desk() as (desk, _):
        assert desk.force("host2", NodeForcedDown(user_id="o", reason="switched off"))

    answer = cloud.ask("evacuate", "lost1")

    assert answer.verdict == "accepted", answer.reason
    (row,) = [r for r in cloud.rows("instance", "list") if r["display_name"] == "lost1"]
    assert (row["host"], row["vm_state"]) == ("host1", "stopped")
    with cloud.desk() as (desk, views):
        assert desk.force("host2", NodeForcedUp(user_id="o", reason="mended"))
        (move,) = views.migrations(instance_uuid=answer.instance_uuid)
    assert move.migration_type == "evacuation"
    assert move.status in {"done", "completed"}


@pytest.mark.parametrize("action", ["evacuate", "reboot_hard"])
def test_nobody_can_vouch_for_a_host_that_never_started(cloud: Cloud, action: str) -> None:
    status, _ = cloud.command("node", "force-down", "host9", "--reason", "gone")

    assert status == Exit.NO
    with cloud.desk() as (desk, _), pytest.raises(UnknownThing, match="host9"):
        desk.send(Wish(action=action, instance="web1", fenced_hosts=("host9",)))


def test_diagnostics_are_what_the_host_said_last(cloud: Cloud) -> None:
    before, _ = cloud.command("instance", "diagnostics", "db7")
    cloud.ask("create", "db7", flavor="m1.small")
    none_yet, _ = cloud.command("instance", "diagnostics", "db7")

    answer = cloud.ask("get_diagnostics", "db7")
    status, out = cloud.command("instance", "diagnostics", "db7", "-f", "json")

    assert (before, none_yet, status) == (1, 1, 0)
    said = json.loads(out)
    assert (said["uuid"], said["state"], said["driver"]) == (
        answer.instance_uuid,
        "running",
        "fake",
    )
    assert (said["num_cpus"], said["memory_maximum_mb"]) == (1, 2048)
