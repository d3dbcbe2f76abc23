"""A stage for contracts of drivers: two hosts, what is asked of them, what they say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from compute.endings import is_ending
from compute.fake_driver import FakeDriver
from compute.file_world import FileWorld
from compute.hypervisor import Hypervisor
from compute.world import MemoryWorld
from events.envelope import Address, Letter

ONE = "6f1b7b3e-0000-4000-8000-000000000001"
TWO = "6f1b7b3e-0000-4000-8000-000000000002"
#: Far more polls than any operation of these tests needs.
POLLS_MAX = 1_000


class DriverStage(ABC):
    """Two hosts that can migrate guests to each other, and what their drivers say."""

    @abstractmethod
    def driver(self, host: str) -> Hypervisor:
        """Return the driver of a host, as a new process would open it."""

    @pytest.fixture(autouse=True)
    def _open_both(self, request: pytest.FixtureRequest) -> None:
        request.getfixturevalue("world")
        self.hosts = {"alpha": self.driver("alpha"), "beta": self.driver("beta")}
        self.count = 0

    def letter(self, host: str, command: object, instance_id: str = ONE) -> Letter[object]:
        self.count += 1
        return Letter(
            command,
            Address(
                command_id=f"command-{self.count}",
                saga_id="saga",
                saga="test",
                step="doing",
                attempt=1,
                instance_id=instance_id,
                generation=1,
                host=host,
            ),
        )

    def begin(self, host: str, command: object, instance_id: str = ONE) -> Letter[object]:
        letter = self.letter(host, command, instance_id)
        self.hosts[host].begin(letter)
        return letter

    def until_it_ends(self, host: str, letter: Letter[object]) -> list[object]:
        said: list[object] = []
        for _ in range(POLLS_MAX):
            reports = self.hosts[host].poll()
            said += [r.fact for r in reports if r.command_id == letter.address.command_id]
            if said and is_ending(letter.command, said[-1]):
                return said
        raise AssertionError(f"Expected an ending of {letter.command}, but only {said}")

    def do(self, host: str, command: object, instance_id: str = ONE) -> list[object]:
        return self.until_it_ends(host, self.begin(host, command, instance_id))

    def kinds(self, host: str, command: object) -> list[str]:
        return [type(fact).__name__ for fact in self.do(host, command)]


class InMemory(DriverStage):
    """The fake driver in a world that lives as long as its object."""

    @pytest.fixture
    def world(self) -> None:
        self.shared = MemoryWorld()

    def driver(self, host: str) -> Hypervisor:
        return FakeDriver(host=host, world=self.shared)


class InAFile(DriverStage):
    """The fake driver in a world that several processes see."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[None]:
        self.path = tmp_path / "world.db"
        self.opened: list[FileWorld] = []
        yield
        for world in self.opened:
            world.close()

    def driver(self, host: str) -> Hypervisor:
        world = FileWorld(self.path)
        self.opened.append(world)
        return FakeDriver(host=host, world=world)
