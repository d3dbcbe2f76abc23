"""Put the house on the import path, then open the front door.

Knows where the five packages lie: in the private folder `_house` of an installed wheel, so that
nobody's site-packages gets a package called `events`; on the path already in a checkout or an
editable install. Refuses to know what the command does, and to start on a stranger's package of
the same name.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

#: The packages of the house, by their import names.
PACKAGES = ("events", "statemachines", "projections", "conductor", "compute")

_HOUSE = Path(__file__).with_name("_house")


def complaint_about(found: dict[str, Path | None]) -> str | None:
    """Return the sentence to end with if the packages do not share one folder, else None."""
    strangers = {
        name: folder
        for name, folder in found.items()
        if folder is None or folder != found["events"]
    }
    if not strangers:
        return None
    places = ", ".join(f"{name} in {folder or 'no folder'}" for name, folder in found.items())
    return (
        f"regente: Expected {', '.join(found)} in one folder, but found {places}. "
        "Another distribution owns one of these names: "
        "install regente into an environment of its own."
    )


def _folder_of(name: str) -> Path | None:
    spec = find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent.parent


def main() -> int:
    """Run the command line with the house's own packages first on the path; give its exit status.

    Raises:  SystemExit, with one sentence, if the five packages are not all ours.
    """
    if _HOUSE.is_dir():  # Absent in a checkout, where the packages are importable already.
        sys.path.insert(0, str(_HOUSE))
    complaint = complaint_about({name: _folder_of(name) for name in PACKAGES})
    if complaint is not None:
        raise SystemExit(complaint)

    from regente.cli import main as run  # Only now can its imports find the house.

    return run()
