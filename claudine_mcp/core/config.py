"""The configuration: layers of JSON become one consistent Settings that knows where each value is from.

The keys and their types are in `sections`, the presets in `presets`, one layer's reading in `layers`, a
project's own file in `project`; their names are to be had from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from claudine_mcp.core.errors import ConfigError
from claudine_mcp.core.fields import Level, PermissionMode, Preset
from claudine_mcp.core.layers import MAX_PROBLEMS, Layer, Problem, parse_setting, read, unknown
from claudine_mcp.core.presets import DEFAULT_PRESET, PRESETS
from claudine_mcp.core.project import PROJECT_FILE, ProjectDefaults, project_layer
from claudine_mcp.core.sections import (
    KEYS,
    SECTIONS,
    Claude,
    Limits,
    Monitoring,
    Notifications,
    Retention,
    Scheduling,
    Settings,
    Supervisor,
    conflicts,
)

__all__ = [
    "ADJUSTABLE",
    "DEFAULT_PRESET",
    "KEYS",
    "MAX_PROBLEMS",
    "PRESETS",
    "PROJECT_FILE",
    "RUNTIME_ORIGIN",
    "Claude",
    "Layer",
    "Level",
    "Limits",
    "Monitoring",
    "Notifications",
    "PermissionMode",
    "Preset",
    "ProjectDefaults",
    "Resolved",
    "Retention",
    "Scheduling",
    "Settings",
    "Supervisor",
    "adjustment",
    "check",
    "loosens",
    "parse_setting",
    "project_layer",
    "resolve",
]

DEFAULT_ORIGIN = "default"
RUNTIME_ORIGIN = "ConfigureMonitoring"

ADJUSTABLE: Mapping[str, str] = MappingProxyType(
    {
        "level": "monitoring.level",
        "stallThreshold": "monitoring.stallThreshold",
        "checkpointInterval": "monitoring.checkpointInterval",
        "maxMemoryPerTask": "limits.maxMemoryPerTask",
        "criticalMemory": "limits.criticalMemory",
    }
)
"""What ConfigureMonitoring can change: its parameter to the dotted key."""
_INTERVALS = frozenset({"monitoring.stallThreshold", "monitoring.checkpointInterval"})


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings in force, and the origin of every dotted key.

    An origin is "default", "preset conservative", a file's path, "command line" or "ConfigureMonitoring".
    """

    settings: Settings
    origins: Mapping[str, str]


def resolve(layers: Sequence[Layer]) -> Resolved:
    """Merge layers over the defaults and the preset, key by key; a later layer wins.

    The preset that the last layer names counts, and stands below all layers whichever named it.

    Raises:
        ConfigError: the first thing that is wrong, by key and origin.
    """
    values, origins, problems = _merge(layers)
    if problems:
        raise problems[0].error()
    return Resolved(_settings(values), MappingProxyType(origins))


def check(layer: Layer) -> list[str]:
    """Say all that is wrong with a layer, standing alone over the defaults; nothing when it is right."""
    _, _, problems = _merge([layer])
    found = [str(problem.error()) for problem in problems]
    return [*found, f"There is more; these are the first {MAX_PROBLEMS}."] if read(layer).truncated else found


def _merge(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
    readings = [read(layer) for layer in layers]
    values = Settings().flat()
    origins = dict.fromkeys(values, DEFAULT_ORIGIN)
    chosen = [reading.values["preset"] for reading in readings if "preset" in reading.values]
    if chosen:
        preset = Layer(f"preset {chosen[-1]}", PRESETS[chosen[-1]])
        layers, readings = [preset, *layers], [read(preset), *readings]
    rank = {DEFAULT_ORIGIN: -1}
    for place, (layer, reading) in enumerate(zip(layers, readings, strict=True)):
        values |= reading.values
        origins |= dict.fromkeys(reading.values, layer.origin)
        rank[layer.origin] = place
    problems = [problem for reading in readings for problem in reading.problems]
    # A value that was refused would be missing here, and its absence might look like a contradiction.
    return values, origins, problems or _contradictions(values, origins, rank)


def _contradictions(
    values: Mapping[str, Any], origins: Mapping[str, str], rank: Mapping[str, int]
) -> list[Problem]:
    """Blame each contradiction on the key that was set last, since it was right until then."""
    problems: list[Problem] = []
    for found in conflicts(values):
        key, other = sorted((found.key, found.other), key=lambda each: rank[origins[each]], reverse=True)
        origin, right = origins[key], found.right
        if origins[key] == RUNTIME_ORIGIN:
            right += f" Or reset what {RUNTIME_ORIGIN} changed."
        if origins[other] != origins[key]:
            origin += f"; {other} from {origins[other]}"
        problems.append(Problem(key, origin, found.problem, right))
    return problems


def _settings(values: Mapping[str, Any]) -> Settings:
    nested: dict[str, Any] = {"preset": values["preset"], **{section: {} for section in SECTIONS}}
    for key, value in values.items():
        section, _, name = key.partition(".")
        if name:
            nested[section][name] = value
    return Settings.model_validate(nested)


def adjustment(values: Mapping[str, object], *, by_a_person: bool = True) -> dict[str, dict[str, Any]]:
    """Turn parameters of ConfigureMonitoring into the values of a layer, each checked.

    Args:
        values: by parameter, or by dotted key.
        by_a_person: whether a bare 300 for an interval is refused, as it meant seconds; else they are ms.

    Raises:
        ConfigError: one is none of `ADJUSTABLE`, or its value is wrong.
    """
    nested: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        dotted = _adjustable(name)
        parsed = parse_setting(dotted, value, by_a_person=by_a_person)
        section, _, leaf = dotted.partition(".")
        # Whoever reads the layer would ask again.
        is_plain = dotted in _INTERVALS and not by_a_person
        nested.setdefault(section, {})[leaf] = f"{parsed}ms" if is_plain else value
    return nested


def loosens(current: Settings, key: str, new: object) -> bool:
    """Whether a change makes the watch less strict: a lower level, a longer interval, a larger allowance.

    Args:
        current: what is in force.
        key: a parameter of ConfigureMonitoring ("stallThreshold"), or its dotted key.
        new: its value as a person writes it, or as `Settings` holds it.

    Raises:
        ConfigError: it is none of `ADJUSTABLE`, or the value is wrong.
    """
    dotted = _adjustable(key)
    old, value = current.flat()[dotted], parse_setting(dotted, new, by_a_person=False)
    if isinstance(value, Level):
        return value.rank < Level(old).rank
    return value > old


def _adjustable(key: str) -> str:
    dotted = ADJUSTABLE.get(key, key)
    if dotted in ADJUSTABLE.values():
        return dotted
    if dotted in KEYS:
        raise ConfigError(key, "it cannot be changed while running", "Set it in the configuration file.")
    raise unknown(key, ADJUSTABLE)
