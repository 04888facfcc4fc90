"""What a project's own `.claudine.json` may say.

A repository that was cloned must not be able to run a program, lift a cap, change permissions or jump the
queue, so this is a list of what is allowed, and all else is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict

from claudine_mcp.core.errors import ConfigError
from claudine_mcp.core.layers import Problem, parse_setting, unknown
from claudine_mcp.core.sections import KEYS
from claudine_mcp.core.units import describe

PROJECT_FILE = ".claudine.json"
MAX_LABELS = 20
MAX_LABEL_CHARS = 64

_SETTINGS = {
    "monitoring.stallThreshold": "stall_threshold",
    "monitoring.checkpointInterval": "checkpoint_interval",
    "limits.maxMemoryPerTask": "max_memory_per_task",
    "limits.defaultTimeout": "default_timeout",
}
_ALLOWED = (*_SETTINGS, "tasks.priority", "tasks.labels")
_MAY = f"It may set {', '.join(_ALLOWED)}."


class ProjectDefaults(BaseModel):
    """What a project says about its own tasks; None where it says nothing.

    Attributes:
        stall_threshold: ms of silence.
        checkpoint_interval: ms.
        max_memory_per_task: bytes.
        default_timeout: ms.
        priority: of tasks that name none; never P0.
        labels: of all its tasks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    stall_threshold: int | None = None
    checkpoint_interval: int | None = None
    max_memory_per_task: int | None = None
    default_timeout: int | None = None
    priority: Literal["P1", "P2"] | None = None
    labels: tuple[str, ...] | None = None


def project_layer(values: object, origin: str) -> ProjectDefaults:
    """Read what a project's file parsed to.

    Args:
        values: parsed JSON, not trusted.
        origin: the file's path.

    Raises:
        ConfigError: the first thing that is wrong, or that a project's file may not set.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(origin, f"{describe(values)} is not an object", _MAY)
    read: dict[str, Any] = {}
    for section, content in cast("Mapping[str, object]", values).items():
        try:
            read |= _section(section, content)
        except ConfigError as error:
            raise Problem(error.field, origin, error.problem, error.right).error() from None
    return ProjectDefaults(**read)


def _section(section: str, content: object) -> dict[str, Any]:
    if not any(key.startswith(f"{section}.") for key in _ALLOWED):
        raise _refused(section)
    if not isinstance(content, Mapping):
        raise ConfigError(section, f"{describe(content)} is not an object", _MAY)
    read: dict[str, Any] = {}
    for name, value in cast("Mapping[str, object]", content).items():
        key = f"{section}.{name}"
        if key in _SETTINGS:
            # null would lift the user's own timeout, and cannot be told from silence afterwards.
            if value is None:
                raise ConfigError(key, "null is not a value for it", "Leave the key out to keep the user's.")
            read[_SETTINGS[key]] = parse_setting(key, value)
        elif key == "tasks.priority":
            read["priority"] = _priority(value, key)
        elif key == "tasks.labels":
            read["labels"] = _labels(value, key)
        else:
            raise _refused(key)
    return read


def _refused(key: str) -> ConfigError:
    if key in KEYS or any(known.startswith(f"{key}.") for known in KEYS):
        return ConfigError(
            key, "a project's file may not set it", f"{_MAY} The rest belongs in the user's own file."
        )
    error = unknown(key, _ALLOWED)
    return ConfigError(
        error.field, "a project's file may not set it: there is no such key", f"{error.right} {_MAY}"
    )


def _priority(value: object, key: str) -> str:
    right = 'Write "P1" or "P2".'
    if value == "P0":
        raise ConfigError(key, "a project's file may not put its tasks before all others", right)
    if not isinstance(value, str) or value not in {"P1", "P2"}:
        raise ConfigError(key, f"{describe(value)} is not a priority", right)
    return value


def _labels(value: object, key: str) -> tuple[str, ...]:
    right = f'Write at most {MAX_LABELS} labels of at most {MAX_LABEL_CHARS} characters: ["docs", "nightly"].'
    if not isinstance(value, list):
        raise ConfigError(key, f"{describe(value)} is not a list of labels", right)
    if len(cast("list[object]", value)) > MAX_LABELS:
        raise ConfigError(key, f"{len(cast('list[object]', value))} labels are too many", right)
    labels: list[str] = []
    for label in cast("list[object]", value):
        if not isinstance(label, str) or not label.strip() or not label.isprintable():
            raise ConfigError(key, f"{describe(label)} cannot be a label", right)
        if len(label) > MAX_LABEL_CHARS:
            raise ConfigError(key, f"{describe(label)} is too long", right)
        labels.append(label)
    return tuple(dict.fromkeys(labels))
