"""The house rules that no linter knows, as tests.

Knows the tree as it lies on disk and nothing of what the code does: sizes, names, words that do not
belong here, and the promise that one thing's name is derived from another's. Expectations come from
what exists, so a rule holds for a file from the day it appears.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from regente.launch import PACKAGES
from statemachines.state_schemas import STATES

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "events" / "schemas"
HOUSE = ("regente", *PACKAGES)

#: Folders that tools make; names with a dot are skipped as well, but for these two.
MADE_BY_TOOLS = {"__pycache__", "dist", "build"}
DOTTED_BUT_OURS = {".ci", ".gitignore", ".gitattributes", ".pre-commit-config.yaml"}

LINES_MAX = 400

#: A drawer for everything is a room for nothing.
DRAWERS = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}

#: Where events stand; a schema of a class in another file is reported, so this can't grow stale.
FACTS = (
    "instance",
    "images",
    "standby",
    "upkeep",
    "migration",
    "node",
    "decisions",
    "requests",
    "control",
    "attachments",
    "evacuation",
    "start_up",
)
COMMANDS = tuple(
    f"commands/{path.stem}"
    for path in sorted((ROOT / "events" / "commands").glob("*.py"))
    if path.stem != "__init__"
)

#: Paths of one machine, and hosts of registries: the project is built anywhere, from anywhere.
#: Written in halves, so that this file is not its own first finding.
FOREIGN = re.compile(
    "|".join(
        first + second
        for first, second in (
            (r"(?<![\w.])/wo", r"rk/"),
            (r"(?<![\w.])/op", r"t/wheels"),
            (r"(?<![\w.])/ro", r"ot/"),
            (r"\.\./sha", r"red"),
            (r"pypi\.", r"org"),
            (r"pythonho", r"sted\.org"),
            (r"repo1?\.ma", r"ven"),
            (r"registry\.", r"npmjs"),
            (r"registry-1\.", r"docker"),
            (r"--(extra-)?ind", r"ex-url\b"),
        )
    )
)

#: The start of a silencing comment, and what must stand in it: a code, then a reason (which may
#: also be a comment on the line above).
SILENCER = re.compile(r"#\s*(type:\s*ignore|noqa|pragma:)")
REASONED = re.compile(
    r"#\s*(type: ignore\[[\w, -]+\]|noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|pragma: .+)\W+\w+"
)


def all_files() -> list[Path]:
    return sorted(_walk(ROOT))


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        hidden = path.name.startswith(".") and path.name not in DOTTED_BUT_OURS
        if hidden or path.name in MADE_BY_TOOLS or path.is_symlink():
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def python_files() -> list[Path]:
    return [path for path in all_files() if path.suffix == ".py"]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def schema_name(class_name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()


def classes(modules: tuple[str, ...]) -> dict[str, str]:
    """Map each public class of those modules of `events` to its module's source."""
    found = {}
    for module in modules:
        path = ROOT / "events" / f"{module}.py"
        source = path.read_text("utf-8") if path.exists() else ""
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name] = source
    return found


def words_in(*folders: str) -> set[str]:
    texts = (path.read_text("utf-8") for each in folders for path in (ROOT / each).rglob("*.py"))
    return {word for text in texts for word in re.findall(r"\w+", text)}


def test_no_python_file_is_longer_than_one_idea() -> None:
    lengths = {named(path): len(path.read_bytes().splitlines()) for path in python_files()}

    assert {name: lines for name, lines in lengths.items() if lines > LINES_MAX} == {}


def test_no_module_is_a_drawer() -> None:
    drawers = [named(p) for p in python_files() if {p.stem, p.parent.name} & DRAWERS]

    assert drawers == []


def test_no_file_mentions_one_machine_or_a_registry() -> None:
    findings = []
    for path in all_files():
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), start=1):
            found = FOREIGN.search(line)
            if found:
                findings.append(f"{named(path)}:{number}: {found.group()}")

    assert findings == []


@pytest.mark.parametrize(
    "line", ["cd /wor" + "k/x", "see ../sha" + "red/a", "https://pypi" + ".org/simple"]
)
def test_the_foreign_words_are_found_where_they_are(line: str) -> None:
    assert FOREIGN.search(line)


@pytest.mark.parametrize("line", ["events/schemas", "a network/b", "tests/shared/x"])
def test_innocent_words_are_not_foreign(line: str) -> None:
    assert not FOREIGN.search(line)


def test_every_silenced_finding_names_its_code_and_a_reason() -> None:
    silent = []
    for path in python_files():
        source = path.read_text("utf-8")
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT and SILENCER.search(token.string):
                above = source.splitlines()[token.start[0] - 2].strip()
                if not (REASONED.search(token.string) or above.startswith("# ")):
                    silent.append(f"{named(path)}:{token.start[0]}: {token.string}")

    assert silent == []


def test_every_package_says_that_it_is_typed() -> None:
    assert [name for name in HOUSE if not (ROOT / name / "py.typed").is_file()] == []


def test_every_folder_of_python_in_a_package_is_a_package() -> None:
    folders = {path.parent for name in HOUSE for path in (ROOT / name).rglob("*.py")}
    folders = {folder for folder in folders if "__pycache__" not in folder.parts}

    assert [named(f) for f in sorted(folders) if not (f / "__init__.py").is_file()] == []


def test_every_schema_is_named_after_a_fact_a_command_or_a_state() -> None:
    known = {schema_name(name) for name in (*classes((*FACTS, "facts_nova", *COMMANDS)), *STATES)}
    nameless = []
    for path in sorted(SCHEMAS.glob("*.avsc")):
        match = re.fullmatch(r"(\w+)\.v[1-9]\d*", path.stem)
        if match is None or match.group(1) not in known:
            nameless.append(path.name)

    assert nameless == []


def test_every_fact_and_command_has_a_schema() -> None:
    schemas = {path.name.partition(".")[0] for path in SCHEMAS.glob("*.avsc")}
    if not schemas:
        return  # The first schema brings the rule.

    assert [
        name
        for name, source in classes(FACTS + COMMANDS).items()
        # A value is written inside the fact that has a field of it, as a flavor is.
        if schema_name(name) not in schemas and not re.search(rf"\b\w+: .*\b{name}\b", source)
    ] == []


def test_every_fact_is_known_to_a_machine_and_to_a_test() -> None:
    if not (ROOT / "conductor" / "step.py").exists():
        return  # Until the heart beats, nobody can be expected to know them.
    facts = set(classes(FACTS))

    assert sorted(facts - words_in("statemachines", "projections", "conductor")) == []
    assert sorted(facts - words_in("tests")) == []


def documents() -> list[Path]:
    return [path for path in all_files() if path.suffix == ".md"]


def test_every_relative_link_of_a_document_leads_somewhere() -> None:
    broken = []
    for path in documents():
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text("utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{named(path)}: {target}")

    assert broken == []


def test_every_make_word_of_a_document_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    unknown = []
    for path in documents():
        for word in re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text("utf-8"), re.M):
            if word not in targets:
                unknown.append(f"{named(path)}: make {word}")

    assert unknown == []


def test_every_decision_is_numbered_once_and_dated() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [path.name[:4] for path in records if path.name[:4].isdigit()]

    assert len(numbers) == len(set(numbers))
    assert [
        path.name
        for path in records
        if path.name[:4].isdigit()
        and not re.search(r"\b20\d\d-\d\d-\d\d\b", path.read_text("utf-8"))
    ] == []
