"""The layers of the settings, put on top of each other: defaults, one TOML file, the environment.

Knows which file is meant (`--config`, REGENTE_CONFIG, ./regente.toml) and which layer a value
came from. A wrong setting is one sentence that names it, where it stands, and what was expected.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource

from regente.settings import DELIMITER, PREFIX, Settings

FILE: Final = "regente.toml"
#: Nova's group of options without a group.
DEFAULT_GROUP: Final = "DEFAULT"
_CONFIG: Final = "REGENTE_CONFIG"

Layer = dict[str, object]


class SettingsError(Exception):
    """A setting is not one that Regente can work with."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, and the layers that they come from."""

    settings: Settings
    file: Path | None
    from_file: Layer
    from_environment: Layer
    from_options: Layer

    def origin(self, group: str, name: str) -> str:
        """Say where the value of an option comes from; the group of DEFAULT is empty."""
        if _has(self.from_options, group, name):
            return f"option --{name.replace('_', '-')}"
        if _has(self.from_environment, group, name):
            return f"environment {variable(group, name)}"
        if _has(self.from_file, group, name):
            return f"file {self.file}"
        return "default"


def load(config: str | None = None, options: Layer | None = None) -> Loaded:
    """Return the settings in force, options of the command line on top; raises SettingsError."""
    file = _file(config, os.environ)
    told = {} if file is None else _read(file)
    named = EnvSettingsSource(Settings)()
    over = options or {}
    try:
        settings = Settings(**_merged(_merged(told, named), over))  # type: ignore[arg-type]  # checked there
    except ValidationError as error:
        raise SettingsError(_sentence(error, named, file)) from error
    return Loaded(settings, file, told, named, over)


def options(settings: Settings) -> Iterator[tuple[str, str, object, str]]:
    """Yield (group, option, value, what it is) of every setting, nova's DEFAULT group first."""
    grouped = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            grouped.append((name, value))
        else:
            yield "", name, value, field.description or ""
    for group, values in grouped:
        for name, field in type(values).model_fields.items():
            yield group, name, getattr(values, name), field.description or ""


def variable(group: str, name: str) -> str:
    """Name the environment variable of an option."""
    return PREFIX + DELIMITER.join(part.upper() for part in (group, name) if part)


def _file(config: str | None, environment: Mapping[str, str]) -> Path | None:
    named = config or environment.get(_CONFIG)
    if not named:
        path = Path(FILE)
        return path if path.is_file() else None
    path = Path(named)
    if not path.is_file():
        where = "--config" if config else _CONFIG
        raise SettingsError(
            f"Expected {where} to name a file of settings, but there is no file {path}."
        )
    return path


def _read(file: Path) -> Layer:
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"Expected {file} to be TOML, but: {error}.") from error
    ungrouped = found.pop(DEFAULT_GROUP, {})
    return {**ungrouped, **found}


def _merged(under: Layer, over: Layer) -> Layer:
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        is_group = isinstance(below, dict) and isinstance(value, dict)
        merged[name] = _merged(below, value) if is_group else value  # type: ignore[arg-type]  # dicts
    return merged


def _has(layer: Layer, group: str, name: str) -> bool:
    if not group:
        return name in layer
    inner = layer.get(group)
    return isinstance(inner, dict) and name in inner


def _sentence(error: ValidationError, named: Layer, file: Path | None) -> str:
    wrong = error.errors()[0]
    place = [str(part) for part in wrong["loc"]]
    group, name = ("", place[0]) if len(place) == 1 else (place[0], place[1])
    shown = f"[{group}] {name}" if group else name
    where = variable(group, name) if _has(named, group, name) else str(file)
    if wrong["type"] == "extra_forbidden":
        return (
            f"Expected only settings that exist, but {where} sets {shown}:"
            " `regente config show` lists those that do."
        )
    if wrong["type"] == "model_type":
        return f"Expected [{name}] to be a group of settings, but {where} has {wrong['input']!r}."
    reason = wrong["msg"].rpartition(" should ")[2]
    return f"Expected {shown} to {reason}, but {where} has {wrong['input']!r}."
