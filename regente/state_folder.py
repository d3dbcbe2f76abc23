"""What Regente stores on this machine, and who may read it.

Knows the places within the state folder and the form of a key file: log, rows, master key, a key
file per host, a journal per host. Keys are readable by their owner only; a key that others could
read is refused. Refuses to know what is in the log or in the rows.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from events.seal import Key

MASTER_BYTES: Final = 32
_PRIVATE: Final = 0o600


class StateError(Exception):
    """The state folder is not as it has to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """What a host needs to take part: its key, and where it speaks."""

    host: str
    enrolment: int
    key: Key
    #: Prefix of the topics.
    topics: str


@dataclass(frozen=True, slots=True)
class StateFolder:
    """One state folder (`REGENTE_STATE_DIR`)."""

    path: Path

    @property
    def log(self) -> Path:
        """The log of the embedded default."""
        return self.path / "log.sqlite"

    @property
    def rows(self) -> Path:
        """The database of the embedded default."""
        return self.path / "rows.sqlite"

    @property
    def world(self) -> Path:
        """What the simulated hosts have, for fake drivers in several processes."""
        return self.path / "world.sqlite"

    @property
    def notifications(self) -> Path:
        """States and checkpoints of the notifier."""
        return self.path / "notifications.sqlite"

    @property
    def notifier_lock(self) -> Path:
        """Held by the notifier of a log in this folder."""
        return self.path / "notifier.lock"

    @property
    def owner_lock(self) -> Path:
        """Held by the process that owns the log's partitions."""
        return self.path / "owner.lock"

    @property
    def master_key(self) -> Path:
        """The one key of the control plane, from which all others derive."""
        return self.path / "master.key"

    @property
    def journals(self) -> Path:
        """A folder with a journal for each host of this machine."""
        return self.path / "journals"

    @property
    def audit(self) -> Path:
        """How far the last verify that ended equal had come."""
        return self.path / "audit"

    def key_file(self, host: str) -> Path:
        """The key file of a host."""
        return self.path / "keys" / f"{host}.key"

    def make(self) -> None:
        """Leave the folder there, readable by its owner only where it was made here."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def master(self) -> bytes:
        """Return the master key; raises StateError where there is none."""
        return bytes.fromhex(_read_private(self.master_key, "`regente topics create` makes one"))

    def make_master(self) -> bytes:
        """Return the master key, drawn now if there was none."""
        if not self.master_key.exists():
            self.make()
            _write_private(self.master_key, secrets.token_bytes(MASTER_BYTES).hex() + "\n")
        return self.master()

    def write_key(self, file: KeyFile) -> Path:
        """Leave the key file of a host there; raises StateError where one is there already."""
        path = self.key_file(file.host)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        body = {
            "host": file.host,
            "enrolment": file.enrolment,
            "key_id": file.key.key_id,
            "secret": file.key.secret.hex(),
            "topics": file.topics,
        }
        _write_private(path, json.dumps(body, indent=2) + "\n")
        return path


def read_key(path: Path) -> KeyFile:
    """Return what a key file says; raises StateError."""
    text = _read_private(path, "`regente node enroll HOST` writes one")
    try:
        body = json.loads(text)
        return KeyFile(
            host=str(body["host"]),
            enrolment=int(body["enrolment"]),
            key=Key(str(body["key_id"]), bytes.fromhex(body["secret"])),
            topics=str(body["topics"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"Expected {path} to be a key file, but: {error!r}.") from error


def in_use(folder: StateFolder) -> StateError:
    """Return the error for a folder whose partitions another process owns."""
    owner = folder.owner_lock.read_text("ascii").strip() or "another one"
    return StateError(
        f"Expected nobody to run on {folder.path.absolute()}, but process {owner} does:"
        " stop it, or name another folder by --state-dir."
    )


def _write_private(path: Path, text: str) -> None:
    """Write a file that was not there; nobody but its owner may read it at any moment."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    except FileExistsError as error:
        raise StateError(
            f"Expected no key file {path} yet, but there is one: it is never overwritten;"
            " remove it to enrol the host again."
        ) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _read_private(path: Path, remedy: str) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text("ascii").strip()
    except FileNotFoundError as error:
        raise StateError(
            f"Expected a key in {path}, but there is no such file: {remedy}."
        ) from error
    except (PermissionError, UnicodeDecodeError) as error:
        raise StateError(f"Expected to read a key from {path}, but: {error}.") from error
    if mode & 0o077:
        raise StateError(
            f"Expected {path} to be readable by its owner only, but its mode is {mode:04o}:"
            f" chmod 600 {path}."
        )
    return text
