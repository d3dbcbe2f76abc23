"""What is built and what is installed: the lock, the wheel, and who owns the names.

Builds a source distribution and the wheel from it, as a release would, and opens the wheel as an
interpreter would. Refuses to know what the command line does.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from regente.launch import PACKAGES, complaint_about

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements" / "dev.txt").read_text("utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made from the source distribution, made from this tree."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return path


def in_wheel(path: Path) -> str:
    """Name a file of the checkout as the wheel names it."""
    inside = path.relative_to(ROOT).as_posix()
    return inside if inside.startswith("regente/") else f"regente/_house/{inside}"


def test_the_wheel_brings_one_name_and_every_file(wheel: Path) -> None:
    expected = {
        in_wheel(path)
        for package in ("regente", *PACKAGES)
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    names = set(ZipFile(wheel).namelist())

    tops = {name.partition("/")[0] for name in names}
    assert tops == {"regente", f"regente-{PROJECT['project']['version']}.dist-info"}
    assert {name for name in names if name.startswith("regente/")} == expected
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert any(name.endswith("/licenses/NOTICE") for name in names)


def test_the_launcher_of_an_installed_wheel_finds_the_house_in_its_private_folder(
    wheel: Path, tmp_path: Path
) -> None:
    ZipFile(wheel).extractall(tmp_path)
    # A stand-in for the command line, for it needs nothing but the path that the launcher made.
    (tmp_path / "regente" / "cli").mkdir(exist_ok=True)
    (tmp_path / "regente" / "cli" / "__init__.py").write_text(
        "import compute, conductor, events, projections, statemachines\n"
        "def main():\n    print(events.__file__)\n    return 7\n"
    )
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        "from regente.launch import main; sys.exit(main())"
    )

    ended = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)

    assert ended.returncode == 7, ended.stderr
    assert ended.stdout.strip() == str(tmp_path / "regente" / "_house" / "events" / "__init__.py")


def test_packages_in_one_folder_raise_no_complaint() -> None:
    assert complaint_about({name: Path("/house") for name in PACKAGES}) is None


@pytest.mark.parametrize("folder", [Path("/stranger"), None])
def test_a_package_from_elsewhere_is_named_in_the_complaint(folder: Path | None) -> None:
    found: dict[str, Path | None] = {name: Path("/house") for name in PACKAGES}
    found["conductor"] = folder

    complaint = complaint_about(found)

    assert complaint is not None
    assert f"conductor in {folder or 'no folder'}" in complaint


def test_nobody_else_owns_our_names_here() -> None:
    owners = packages_distributions()

    assert {
        name: owners[name]
        for name in ("regente", *PACKAGES)
        if set(owners.get(name, ())) - {"regente"}
    } == {}


def requirements() -> list[Requirement]:
    project = PROJECT["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for texts in (project["dependencies"], *extras) for text in texts]


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_the_lock_pins_what_the_project_asks_for(requirement: Requirement) -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.M))

    pinned = pins.get(canonicalize_name(requirement.name))

    assert pinned is not None, "Expected a pin, but the lock is older than pyproject: make lock"
    assert requirement.specifier.contains(pinned)


def test_every_pin_of_the_lock_has_a_hash_and_no_address() -> None:
    entries = re.split(r"^(?=\w)", LOCK, flags=re.M)[1:]

    assert len(entries) > len(requirements())
    assert [e.splitlines()[0] for e in entries if "--hash=sha256:" not in e] == []
    assert "http" not in LOCK
    assert " @ " not in LOCK
