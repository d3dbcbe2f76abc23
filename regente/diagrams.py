"""Every diagram that the tables give, by name, and the documents that hold them."""

from __future__ import annotations

from statemachines import diagram
from statemachines.arrows import table
from statemachines.sagas import SAGAS


def drawings() -> dict[str, tuple[str, str]]:
    """Return title and mermaid text of each machine and saga, by name."""
    arrows = table().arrows
    found = {
        "instance": ("The instance machine: vm_states", diagram.vm_states(arrows)),
        "task": ("The instance machine: task_states", diagram.task_states(arrows)),
    }
    for name, saga in SAGAS.items():
        kind = "primary" if saga.primary else "side"
        title = f"The saga {name} (version {saga.version}, {kind})"
        found[name] = (title, diagram.saga(saga))
    return found


def document(title: str, drawn: str) -> str:
    """Return a page with one diagram."""
    return f"# {title}\n\nDrawn from the tables by `make draw`.\n\n```mermaid\n{drawn}```\n"
