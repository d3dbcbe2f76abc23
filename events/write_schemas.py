"""Write the `.avsc` file of every fact and command without one: `python -m events.write_schemas`.

A schema that was released is never changed: where a class has come to ask for another one, the next
version is written beside it. `--overwrite` replaces version 1, for classes not yet released.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from events.codec import FINGERPRINTS, fingerprint_of, schema_of
from events.register import COMMANDS, FACTS, schema_file

FOLDER = Path(__file__).with_name("schemas")


def text_of(schema: Mapping[str, object]) -> str:
    """Return a schema as the file has it."""
    return json.dumps(schema, indent=1) + "\n"


def fingerprints_text() -> str:
    """Return the file that names the fingerprint of every schema file."""
    found = {p.name: fingerprint_of(json.loads(p.read_text())) for p in FOLDER.glob("*.avsc")}
    return json.dumps(dict(sorted(found.items())), indent=1) + "\n"


def newest_version(name: str) -> int:
    """Return the number of the newest schema file of a class; 0 where there is none."""
    version = 0
    while (FOLDER / schema_file(name, version + 1)).is_file():
        version += 1
    return version


def write(name: str, schema: Mapping[str, object], *, overwrite: bool) -> Path | None:
    """Leave a file that says `schema`, as a new version where an older one says another."""
    version = newest_version(name)
    text = text_of(schema)
    if version and (FOLDER / schema_file(name, version)).read_text() == text:
        return None
    path = FOLDER / schema_file(name, 1 if overwrite or not version else version + 1)
    path.write_text(text)
    return path


def write_all(schemas: Mapping[str, Mapping[str, object]]) -> None:
    """Write the files that are missing and print their names; obeys `--overwrite`."""
    overwrite = "--overwrite" in sys.argv[1:]
    for name, schema in schemas.items():
        if path := write(name, schema, overwrite=overwrite):
            print(path.name)
    (FOLDER / FINGERPRINTS).write_text(fingerprints_text())


def main() -> None:
    """Write what is missing and print it."""
    write_all({name: schema_of(name) for name in (*FACTS, *COMMANDS)})


if __name__ == "__main__":
    main()
