"""JSON in an argument of a request: read within bounds, or refused in one sentence."""

from __future__ import annotations

import json
from typing import Final

#: Characters of one JSON argument: 26 volumes with every key take less than half of it.
JSON_CHARS_MAX: Final = 16_384


class BadArgument(ValueError):
    """An argument of a request can't be read; the text says what was expected."""


def json_of(text: str, key: str) -> object:
    """Return the value of a JSON argument."""
    if len(text) > JSON_CHARS_MAX:
        raise BadArgument(f"Expected at most {JSON_CHARS_MAX} characters of {key}, but {len(text)}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadArgument(f"Expected JSON in {key}, but {text:.40}") from None
