"""Whether a hold says something else than before, and how urgently."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, cast

from claudine_mcp.core.models import JSON

MOVED: Final = 0.1
"""By that share a number must differ, of itself or of what the task needs, to be worth another line."""


class Difference(Enum):
    """How two holds of one task differ."""

    NONE = auto()
    NUMBERS = auto()
    MEANING = auto()


def difference(before: JSON | None, after: JSON) -> Difference:
    """Tell what is new in a hold: another rule, or other tasks, mean something else; numbers only have moved."""
    if before == after:
        return Difference.NONE
    if before is None or _meaning(before) != _meaning(after):
        return Difference.MEANING
    scale = abs(float(after.get("needBytes", 0)))
    moved = any(
        abs(new - old) > MOVED * max(abs(new), abs(old), scale)
        for old, new in zip(_numbers(before), _numbers(after), strict=True)
    )
    return Difference.NUMBERS if moved else Difference.NONE


def _meaning(hold: JSON) -> JSON:
    """Give a hold without its numbers; a time that all wait for is none, since it does not move by itself."""
    return {key: _without_numbers(key, hold[key]) for key in sorted(hold)}


def _without_numbers(key: str, value: JSON | object) -> object:
    if isinstance(value, dict):
        return _meaning(cast("JSON", value))
    return None if _is_number(key, value) else value


def _numbers(hold: JSON) -> list[float]:
    found: list[float] = []
    for key, value in sorted(hold.items()):
        if isinstance(value, dict):
            found += _numbers(cast("JSON", value))
        elif _is_number(key, value):
            found.append(float(value))
    return found


def _is_number(key: str, value: object) -> bool:
    is_time = key in {"until", "since"}
    return isinstance(value, int | float) and not isinstance(value, bool) and not is_time
