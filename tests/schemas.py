"""Walking through Avro schemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def walk(schema: Any, depth: int = 1) -> Iterator[tuple[Any, int]]:
    """Yield every schema inside a schema with its depth."""
    yield schema, depth
    if isinstance(schema, list):
        for branch in schema:
            yield from walk(branch, depth)
    elif isinstance(schema, dict):
        for field in schema.get("fields", ()):
            yield from walk(field["type"], depth + 1)
        for key in ("items", "values"):
            if key in schema:
                yield from walk(schema[key], depth + 1)
