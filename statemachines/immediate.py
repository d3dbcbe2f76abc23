"""Actions that take effect in the fold and ask nothing of a host: locks, metadata, tags.

What is wrong with them is said in one sentence and refuses the request; nothing is guessed.

Source:  nova/compute/api.py, nova/objects/tag.py and nova/api/validation/parameter_types.py of
         nova 34 (`metadata`, `tag`); its quota `metadata_items`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from events.json_arguments import BadArgument, json_of
from events.requests import ActionRequested
from events.values import replace
from statemachines.held import Held
from statemachines.verdict import Rejected

#: Items of metadata of one instance; nova's quota.
METADATA_ITEMS_MAX: Final = 128
#: Characters of a key or a value; nova's column.
METADATA_CHARS_MAX: Final = 255
#: Tags of one instance, and the characters of one; nova's limits.
TAGS_MAX: Final = 50
TAG_CHARS_MAX: Final = 60

_KEY: Final = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")
_TAG: Final = re.compile(r"[^,/\x00]{1,60}")

Arguments = Mapping[str, str]


def refused(held: Held, request: ActionRequested) -> Rejected | None:
    """Say what is wrong with an action that takes effect at once; None where nothing is."""
    try:
        done(held, request)
    except BadArgument as e:
        return Rejected("bad-request", str(e))
    except KeyError as e:
        return Rejected("no-such-key", f"Metadata item {e} of {held.instance_id} was not found.")
    return None


def done(held: Held, request: ActionRequested) -> Held:
    """Return the state after an action that takes effect at once."""
    return _ACTIONS[request.action](held, request.arguments)


def metadata_asked(arguments: Arguments) -> dict[str, str]:
    """Return the metadata that a request names, by key; BadArgument where it can't be read."""
    if "metadata" not in arguments:
        return {}
    found = json_of(arguments["metadata"], "metadata")
    if not isinstance(found, dict):
        raise BadArgument(f"Expected metadata to be an object, but {found!r:.40}")
    for key, value in found.items():
        if not _KEY.fullmatch(key):
            raise BadArgument(f"Expected a key of letters, digits and -_:. but {key!r:.40}")
        if not isinstance(value, str) or len(value) > METADATA_CHARS_MAX or "\x00" in value:
            raise BadArgument(
                f"Expected at most {METADATA_CHARS_MAX} characters of {key}, but {value!r:.40}"
            )
    return _bounded({key: str(found[key]) for key in sorted(found)})


def tags_asked(arguments: Arguments) -> tuple[str, ...]:
    """Return the tags that a request names, sorted; BadArgument where they can't be read."""
    if "tags" not in arguments:
        return ()
    found = json_of(arguments["tags"], "tags")
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise BadArgument(f"Expected tags to be a list of texts, but {found!r:.40}")
    for tag in found:
        if not _TAG.fullmatch(tag):
            raise BadArgument(
                f"Expected a tag of at most {TAG_CHARS_MAX} characters without , and /, "
                f"but {tag!r:.40}"
            )
    tags = tuple(sorted(set(found)))
    if len(tags) > TAGS_MAX:
        raise BadArgument(f"Expected at most {TAGS_MAX} tags, but {len(tags)}")
    return tags


def _update_metadata(held: Held, arguments: Arguments) -> Held:
    """Take the items over; with `delete`, as nova's PUT has it, they are all there is."""
    if "metadata" not in arguments:
        raise BadArgument("Expected metadata, but none")
    delete = arguments.get("delete", "false")
    if delete not in ("true", "false"):
        raise BadArgument(f"Expected delete true or false, but {delete!r:.40}")
    kept = {} if delete == "true" else held.metadata
    merged = {**kept, **metadata_asked(arguments)}
    return replace(held, metadata=_bounded({key: merged[key] for key in sorted(merged)}))


def _delete_metadata(held: Held, arguments: Arguments) -> Held:
    gone = arguments.get("key")
    if gone is None:
        raise BadArgument("Expected a key, but none")
    if gone not in held.metadata:
        raise KeyError(gone[:METADATA_CHARS_MAX])
    return replace(held, metadata={k: v for k, v in held.metadata.items() if k != gone})


def _update_tags(held: Held, arguments: Arguments) -> Held:
    if "tags" not in arguments:
        raise BadArgument("Expected tags, but none")
    return replace(held, tags=tags_asked(arguments))


def _bounded(metadata: dict[str, str]) -> dict[str, str]:
    if len(metadata) > METADATA_ITEMS_MAX:
        raise BadArgument(f"Expected at most {METADATA_ITEMS_MAX} items, but {len(metadata)}")
    return metadata


_ACTIONS: Final[Mapping[str, Callable[[Held, Arguments], Held]]] = MappingProxyType(
    {
        "lock": lambda held, _arguments: replace(held, locked=True),
        "unlock": lambda held, _arguments: replace(held, locked=False),
        "update_instance_metadata": _update_metadata,
        "delete_instance_metadata": _delete_metadata,
        "update_tags": _update_tags,
    }
)
