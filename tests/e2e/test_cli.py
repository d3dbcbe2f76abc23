"""The command through its front door: processes, signals, and the files that they share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.log import Message, TopicPartition
from events.ports import SystemClock
from events.sqlite_log import SqliteLog
from events.topics import Topics
from tests.unit.test_cli_shadow import TRACES, check_ending

REGENTE = (sys.executable, "-m", "regente")
#: Runs the command where the libraries of the extra `conductor` can't be imported.
WITHOUT_THE_EXTRA = (
    sys.executable,
    "-c",
    "import sys\n"
    "for name in 'sqlalchemy alembic psycopg transitions prometheus_client rich'.split():\n"
    "    sys.modules[name] = None\n"
    "from regente.launch import main\n"
    "sys.exit(main())",
)
PATIENCE_S = 30


class Machine:
    """One state folder, and commands on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("REGENTE_")},
            "REGENTE_STATE_DIR": str(folder),
        }

    def run(self, *argv: str, by: tuple[str, ...] = REGENTE) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*by, *argv],
            env=self.environment,
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *argv: str, by: tuple[str, ...] = REGENTE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*by, *argv],
            env=self.environment,
            cwd=self.folder.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answer(self, *argv: str) -> tuple[int, dict[str, str | None]]:
        """Make a request; return its status and what was said of it."""
        done = self.run("request", *argv, "-f", "json")
        assert done.stdout, done.stderr
        found: dict[str, str | None] = json.loads(done.stdout)
        return done.returncode, found

    def hosts(self) -> dict[str, str]:
        done = self.run("node", "list", "-f", "json")
        assert done.returncode == 0, done.stderr
        return {row["host"]: row["status"] for row in json.loads(done.stdout)}

    def until_hosts_are(self, status: str, count: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while list(self.hosts().values()).count(status) != count:
            assert time.monotonic() < end, self.hosts()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "state")


@pytest.fixture
def up(machine: Machine) -> Iterator[subprocess.Popen[str]]:
    process = machine.start("up", "--hosts", "2")
    try:
        assert process.stdout is not None
        assert f"Stored in {machine.folder}" in process.stdout.readline()
        machine.until_hosts_are("started", 2)
        yield process
    finally:
        process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said


def test_everything_in_one_process_is_found_by_the_other_commands(
    machine: Machine, up: subprocess.Popen[str]
) -> None:
    status, created = machine.answer("create", "web1", "--arg", "flavor=m1.small", "--wait")
    assert (status, created["verdict"], created["reason"]) == (0, "accepted", None)
    assert machine.answer("stop", "web1", "--wait")[0] == 0
    status, refused = machine.answer("stop", "web1")
    assert (status, refused["verdict"]) == (1, "refused")
    assert refused["reason"] == (
        f"Cannot 'stop' instance {created['instance_uuid']} while it is in vm_state stopped"
    )
    assert machine.answer("start", "web1", "--wait")[0] == 0
    assert machine.answer("resize", "web1", "--arg", "flavor=m1.large", "--wait")[0] == 0
    assert machine.answer("confirm_resize", "web1", "--wait")[0] == 0
    assert machine.answer("live-migrate", "web1", "--wait")[0] == 0
    status, failed = machine.answer(
        "create", "big", "--arg", "flavor=m1.small", "--host", "nowhere", "--wait"
    )
    assert (status, failed["verdict"]) == (1, "refused")
    assert "nowhere" in str(failed["reason"])

    second = machine.run("up")
    assert second.returncode == 2
    assert f"but process {up.pid} does" in second.stderr
    assert machine.run("conductor").returncode == 2

    at = TopicPartition(Topics().instance_events, 0)
    SqliteLog(machine.folder / "log.sqlite", SystemClock()).writer().append(
        [Message(*at, b"nobody", b"rubbish")]
    )
    end = time.monotonic() + PATIENCE_S
    while not (found := json.loads(machine.run("quarantine", "list", "-f", "json").stdout)):
        assert time.monotonic() < end
    discarded = machine.run("quarantine", "discard", found[0]["position"], "--reason", "a test")
    assert discarded.returncode == 0, discarded.stderr
    assert json.loads(machine.run("quarantine", "list", "-f", "json").stdout) == []

    verified = machine.run("audit", "verify", "-f", "json")
    assert verified.returncode == 0, verified.stdout
    assert machine.run("doctor").returncode == 0

    status, said = stopped(up, signal.SIGINT)
    assert (status, "stopped; everything is stored" in said) == (0, True)
    assert "Traceback" not in said
    assert machine.hosts() == {"host1": "stopped", "host2": "stopped"}


def test_services_in_processes_of_their_own_share_the_files(machine: Machine) -> None:
    for command in ("topics create", "db upgrade", "node enroll host1"):
        done = machine.run(*command.split())
        assert done.returncode == 0, done.stderr
    conductor = machine.start("conductor")
    agent = machine.start("compute", "--host", "host1", by=WITHOUT_THE_EXTRA)
    try:
        machine.until_hosts_are("started", 1)
        status, created = machine.answer("create", "web1", "--arg", "flavor=m1.tiny", "--wait")
        assert (status, created["verdict"]) == (0, "accepted")
        again = machine.run("compute", "--host", "host1")
        assert again.returncode == 2
        assert again.stderr.startswith("regente: ")

        assert stopped(agent, signal.SIGTERM)[0] == 0
        machine.until_hosts_are("stopped", 1)
        assert stopped(conductor, signal.SIGTERM)[0] == 0
    finally:
        for process in (conductor, agent):
            process.kill()
            process.communicate()


@pytest.mark.parametrize(
    "argv", [("instance", "list"), ("db", "upgrade"), ("shadow", "replay", __file__)]
)
def test_a_missing_extra_is_named_in_one_sentence(machine: Machine, argv: tuple[str, ...]) -> None:
    assert machine.run("topics", "create").returncode == 0
    assert machine.run("db", "upgrade").returncode == 0

    done = machine.run(*argv, by=WITHOUT_THE_EXTRA)

    assert done.returncode == 2
    assert "which this command needs, but it is not installed: pip install" in done.stderr
    assert done.stderr.count("\n") == 1


def test_every_recording_of_a_real_nova_ends_as_its_api_says() -> None:
    names = sorted(path.name.partition(".")[0] for path in TRACES.glob("*.notifications.jsonl"))

    assert len(names) >= 44
    for name in names:
        check_ending(name)


def test_help_is_there_at_once(machine: Machine) -> None:
    best = min(_seconds(machine) for _ in range(3))

    assert best < 0.8  # 0.2 s on an idle machine


def _seconds(machine: Machine) -> float:
    begin = time.monotonic()
    assert machine.run("--help").returncode == 0
    return time.monotonic() - begin
