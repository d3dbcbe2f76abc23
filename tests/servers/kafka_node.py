"""One Apache Kafka node run by `java` (KRaft, broker and controller in one process).

Knows jars, properties and signals. Knows nothing of Docker or pytest. Several nodes are a cluster
where their plans name each other (`kafka_cluster.py`).
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.tiers import TierMissing, free_ports

KAFKA_VERSION = "4.3.1"
BROKER_FILES = Path(__file__).parent / "broker"
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
MAVEN_S = 600
START_S = 60.0
STOP_S = 20.0
POLL_S = 0.1
STARTS_MAX = 3  #: a free port may be taken before the broker binds it
HINT = (
    "Expected a Kafka broker for this test, but there is none: start a Docker daemon, or install"
    " Java 17 and Maven, or set REGENTE_TEST_KAFKA to the address of a broker."
)

#: What every node obeys.
_PROPERTIES = """\
process.roles=broker,controller
node.id={node_id}
controller.quorum.bootstrap.servers={controllers}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
num.partitions=6
auto.create.topics.enable=false
log.message.timestamp.type=LogAppendTime
offsets.topic.num.partitions=2
offsets.topic.replication.factor={copies}
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={copies_min}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={copies_min}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""
#: What the nodes of a cluster obey too: one that died is missed within 3 s.
_OF_CLUSTER = """\
default.replication.factor={copies}
min.insync.replicas={copies_min}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=1000
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who a node is, and who its peers are."""

    node_id: int
    broker: int
    controller: int
    cluster_id: str
    #: Every node's controller, this one's too: id, port, id of its directory. Empty: it is alone.
    voters: tuple[tuple[int, int, str], ...] = ()

    def settings(self) -> dict[str, str]:
        """Return what the node obeys, but for the folder of its data."""
        controllers = [port for _, port, _ in self.voters] or [self.controller]
        copies = len(controllers)
        text = _PROPERTIES + (_OF_CLUSTER if self.voters else "")
        filled = text.format(
            node_id=self.node_id,
            broker=self.broker,
            controller=self.controller,
            controllers=",".join(f"127.0.0.1:{port}" for port in controllers),
            copies=copies,
            copies_min=copies // 2 + 1,
        )
        return dict(line.split("=", 1) for line in filled.splitlines())

    def properties(self, data: Path) -> str:
        """Return what the node reads at its start."""
        settings = {**self.settings(), "log.dirs": str(data)}
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def format_arguments(self) -> list[str]:
        """Return what the format tool has to be told beside the properties."""
        if not self.voters:
            return ["--standalone", "-t", self.cluster_id]
        voters = ",".join(f"{n}@127.0.0.1:{port}:{folder}" for n, port, folder in self.voters)
        return ["--initial-controllers", voters, "-t", self.cluster_id]


def identity_of(name: str) -> str:
    """Return an id in Kafka's form, always the same for the same name."""
    text = base64.urlsafe_b64encode(uuid.uuid5(uuid.NAMESPACE_URL, name).bytes).decode()
    return text.rstrip("=").replace("-", "a")


def jars() -> Path:
    """Return the folder with the broker's jars, resolved by Maven once per machine."""
    cache = Path(os.environ.get("REGENTE_CACHE_DIR") or Path.home() / ".cache" / "regente")
    folder = cache / f"kafka-{KAFKA_VERSION}"
    if not folder.is_dir():
        _resolve(folder)
    return folder


def is_java_here() -> bool:
    """Say whether `java` is here, and the jars or the means to get them."""
    return shutil.which("java") is not None and _jars_can_be_had()


@dataclass(slots=True)
class KafkaNode:
    """A broker that runs from `start` to `stop`, with its data in a folder of its own."""

    heap_mb: int = 512
    #: None: it is alone, and takes ports that are free at its start.
    plan: Plan | None = None
    bootstrap: str = ""
    _folder: Path = field(default_factory=Path)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Leave a formatted broker that answers; raises TierMissing or RuntimeError."""
        if not is_java_here():
            raise TierMissing(HINT)
        for attempt in range(1, STARTS_MAX + 1):
            try:
                self.launch()
                self.wait_until_it_listens()
            except RuntimeError:
                self.stop()
                if attempt == STARTS_MAX:
                    raise
            else:
                return

    @property
    def is_running(self) -> bool:
        """Say whether it was started and not stopped or killed since."""
        return self._process is not None

    def launch(self) -> None:
        """Leave a process that is starting, on the data that it had if it had any."""
        if self._folder == Path():
            self._folder = Path(tempfile.mkdtemp(prefix="regente-kafka-"))
            plan = self.plan or _alone(self._folder)
            self._properties.write_text(plan.properties(self._folder / "data"))
            self.bootstrap = f"127.0.0.1:{plan.broker}"
            self._run("format", "-c", str(self._properties), *plan.format_arguments())
        with self._output.open("ab") as to:
            self._process = subprocess.Popen(
                _dies_with_us(self._java("kafka.Kafka", str(self._properties))),
                stdout=to,
                stderr=to,
            )

    def wait_until_it_listens(self) -> None:
        """Return when the broker's port is open; raises RuntimeError with what it said."""
        port = int(self.bootstrap.rpartition(":")[2])
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                self._running().wait(POLL_S)
            except subprocess.TimeoutExpired:
                if _is_listening(port):
                    return
            else:
                break
        what = f"listen on port {port} within {START_S:.0f} s"
        raise RuntimeError(_what_it_said(what, self._output))

    def kill(self) -> None:
        """Leave the broker dead as a power cut would, its data as it was."""
        process, self._process = self._running(), None
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Leave neither process nor data."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._folder != Path():
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = Path()

    def freeze(self) -> None:
        """Leave the broker alive and silent, as a long pause of its machine would."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        # A signal that was sent has stopped nobody yet: threads of a broker on a busy machine go on
        # to answer. The kernel says it when the last one stands.
        found = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        is_stopped = found is not None and found.si_code == os.CLD_STOPPED
        assert is_stopped, f"Expected a broker that stands still, but {found}"

    def thaw(self) -> None:
        """Let the broker go on where it was frozen."""
        self._running().send_signal(signal.SIGCONT)

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    @property
    def _output(self) -> Path:
        return self._folder / "output"

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "Expected a broker that runs, but none was started."
        return self._process

    def _run(self, *arguments: str) -> None:
        command = self._java("kafka.tools.StorageTool", *arguments)
        with self._output.open("ab") as to:
            if subprocess.run(command, stdout=to, stderr=to, check=False).returncode:
                raise RuntimeError(_what_it_said("format its storage", self._output))

    def _java(self, main: str, *arguments: str) -> list[str]:
        return [
            "java",
            f"-Xmx{self.heap_mb}m",
            "-XX:+UseSerialGC",
            # A broker for tests lives for seconds: quick start counts, the second compiler doesn't.
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={BROKER_FILES / 'log4j2.xml'}",
            "-cp",
            f"{jars()}/*",
            main,
            *arguments,
        ]


def _alone(folder: Path) -> Plan:
    broker, controller = free_ports(2)
    identity = identity_of(str(folder))
    return Plan(node_id=1, broker=broker, controller=controller, cluster_id=identity)


def _jars_can_be_had() -> bool:
    if shutil.which("mvn") is not None:
        return True
    try:
        return jars().is_dir()
    except TierMissing:
        return False


def _resolve(folder: Path) -> None:
    if shutil.which("mvn") is None:
        raise TierMissing(HINT)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        whole = Path(beside) / "jars"
        command = ["mvn", "-B", "-q", "-f", str(BROKER_FILES / "pom.xml"), COPY_GOAL]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={whole}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=MAVEN_S, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-1000:]
            raise TierMissing(f"{HINT} Maven could not resolve the broker: {said}")
        if not folder.is_dir():  # somebody else may have been quicker
            whole.rename(folder)


def _dies_with_us(command: list[str]) -> list[str]:
    """Let Linux end the broker when the thread that started it dies, however it dies."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", *command] if setpriv else command


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(POLL_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _what_it_said(what: str, output: Path) -> str:
    return f"Expected the broker to {what}, but it said:\n{output.read_text()[-3000:]}"
