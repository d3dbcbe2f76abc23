"""Everything in one process on the files of one folder: a conductor, simulated hosts, agents.

The embedded default. It sets up what is missing (tables, topics, rules, keys), owns the log's
partitions while it lives, and hands out turns; who calls them is `regente up`, the demo, or a
test. The hosts' guests are in a file too, so they are still there when it is started again.
"""

from __future__ import annotations

from compute.file_world import FileWorld
from compute.world import World
from events.owner_lock import OwnerLock
from events.ports import Clock
from events.sqlite_log import SqliteLog
from projections.schema import upgrade
from regente.agents import Agent, Machine, build_fake_agent
from regente.conducting import Conducting, build_conductor
from regente.places import database_url
from regente.rules import publish
from regente.settings import Settings
from regente.setup import enroll, make_topics, open_control
from regente.state_folder import KeyFile, StateFolder, in_use, read_key


class Embedded:
    """A whole cloud in one process."""

    def __init__(
        self, settings: Settings, hosts: int, clock: Clock, *, copy_polls: int = 3
    ) -> None:
        """Leave everything set up and nothing run; raises StateError if another process owns it."""
        self._settings = settings
        self._clock = clock
        self._copy_polls = copy_polls
        self.folder = StateFolder(settings.state_dir)
        self.folder.make()
        self._lock = OwnerLock(self.folder.owner_lock)
        if not self._lock.take():
            raise in_use(self.folder)
        self._url = database_url(settings, self.folder)
        upgrade(self._url)
        make_topics(settings, self.folder, clock)
        publish(open_control(settings, self.folder, clock), settings)
        self._log = SqliteLog(self.folder.log, clock, self._lock)
        self.world: World = FileWorld(self.folder.world)
        self.agents: dict[str, Agent] = {}
        for n in range(1, hosts + 1):
            self.start_host(f"host{n}")
        self.conducting: Conducting | None = None
        self.start_conductor()

    def turn(self) -> bool:
        """Let everybody take a turn; say whether anybody had work."""
        did = [] if self.conducting is None else [self.conducting.conductor.turn()]
        for agent in self.agents.values():
            did += [part.turn() for part in agent.parts.turns]
        return any(did)

    def start_conductor(self) -> None:
        """Leave a conductor there that goes on from what is in the database."""
        assert self.conducting is None, "Expected no conductor yet, but there is one"
        self.conducting = build_conductor(
            self._settings,
            log=self._log,
            url=self._url,
            master=self.folder.master(),
            clock=self._clock,
        )

    def kill_conductor(self) -> None:
        """Leave no conductor there; nothing is finished, as if its process had died."""
        assert self.conducting is not None, "Expected a conductor, but there is none"
        self.conducting.close()
        self.conducting = None

    def start_host(self, host: str) -> None:
        """Leave the agent of a host there, enrolled now if it was not."""
        machine = Machine(
            folder=self.folder,
            log=self._log,
            world=self.world,
            clock=self._clock,
            copy_polls=self._copy_polls,
        )
        self.agents[host] = build_fake_agent(self._settings, machine, self._key_of(host))

    def kill_host(self, host: str) -> None:
        """Leave no agent of a host there, as if its process had died; its guests stay."""
        self.agents.pop(host).close()

    def stop(self) -> None:
        """Stop cleanly: hosts say that they stop, what was committed stays, the folder is free."""
        for agent in self.agents.values():
            agent.parts.agent.stop()
            while agent.parts.emitter.turn():
                pass
        if self.conducting is not None:
            while self.conducting.conductor.turn():  # folds what the hosts said last
                pass
            self.conducting.conductor.stop()
            self.conducting.close()
        for agent in self.agents.values():
            agent.close()
        self._lock.release()

    def _key_of(self, host: str) -> KeyFile:
        path = self.folder.key_file(host)
        return read_key(path) if path.exists() else enroll(self._settings, self.folder, host)
