"""Real servers for tests that ask for them: the fixtures `kafka`, `kafka_cluster`, `postgres`.

A server is started when the first test asks for it, lives as long as the session, and is named in
the summary. With xdist a session is a worker; so that one broker serves a whole run, every test
that uses `kafka` goes to one worker, and every test that uses only `postgres` to one worker
(groups, with `--dist loadgroup` in place of xdist's own default). A test never counts on an empty
server: it takes topics and databases under names of its own.

Where a server can't be had, its tests fail under CI=true and are skipped with a sentence elsewhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import pytest

ROOT = str(Path(__file__).parent.parent)
if ROOT not in sys.path:  # a bare `pytest` doesn't put it there
    sys.path.insert(0, ROOT)

if TYPE_CHECKING:
    from tests.servers.kafka import KafkaServer
    from tests.servers.kafka_cluster import KafkaCluster
    from tests.servers.postgres import PostgresServer

# Its asserts shall explain themselves, though it is no test module.
pytest.register_assert_rewrite("tests.contract.log_contract")

SERVERS = ("kafka", "postgres")
STARTED = pytest.StashKey[dict[str, str]]()


class _Worker(Protocol):
    workeroutput: dict[str, dict[str, str]]


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[KafkaServer]:
    """A broker that serves the whole session."""
    # Imported here: unit tests shall not wait for clients of servers that they never ask for.
    from tests.servers.kafka import KafkaServer
    from tests.servers.tiers import TierMissing

    try:
        with KafkaServer() as server:
            request.config.stash[STARTED]["Kafka"] = server.tier
            yield server
    except TierMissing as missing:
        _go_without(missing)


@pytest.fixture
def kafka_cluster(request: pytest.FixtureRequest) -> Iterator[KafkaCluster]:
    """Three brokers for one test, which may kill them."""
    from tests.servers.kafka_cluster import KafkaCluster
    from tests.servers.tiers import TierMissing

    try:
        with KafkaCluster() as cluster:
            request.config.stash[STARTED]["Kafka that loses a broker"] = cluster.tier
            yield cluster
    except TierMissing as missing:
        _go_without(missing)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A PostgreSQL that serves the whole session; never stop this one."""
    from tests.servers.postgres import PostgresServer
    from tests.servers.tiers import TierMissing

    try:
        with PostgresServer() as server:
            request.config.stash[STARTED]["PostgreSQL"] = server.tier
            yield server
    except TierMissing as missing:
        _go_without(missing)


def pytest_configure(config: pytest.Config) -> None:
    """Group by server where xdist would only spread the load."""
    config.stash[STARTED] = {}
    # kafka-python reads its protocol files at import by a function that Python 3.11 calls old.
    config.addinivalue_line(
        "filterwarnings", "ignore:(open|read)_text is deprecated:DeprecationWarning"
    )
    # It also forgets to close the sockets on which it called a dead broker in vain. Nobody else in
    # the house opens a socket.
    config.addinivalue_line("filterwarnings", "ignore:unclosed <socket:ResourceWarning")
    config.addinivalue_line(
        "filterwarnings",
        "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning",
    )
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist = "loadgroup"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Send the tests of one server to one worker."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        group = next((each for each in SERVERS if each in fixtures), None)
        if group is not None:
            item.add_marker(pytest.mark.servers)
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the controller which servers this worker started."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["servers"] = session.config.stash[STARTED]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: _Worker) -> None:
    """Hear from a worker which servers it started."""
    config: pytest.Config = node.config  # type: ignore[attr-defined] # xdist has no types
    config.stash[STARTED].update(getattr(node, "workeroutput", {}).get("servers", {}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name the servers that the tests ran against."""
    for name, tier in sorted(config.stash[STARTED].items()):
        terminalreporter.write_line(f"{name}: {tier}")


def _go_without(missing: Exception) -> NoReturn:
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(str(missing))
    pytest.skip(str(missing))
