"""Values in a scenario: tables read key by key, numbers, sizes, durations; what is wrong is said with its place."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.units import parse_size_bytes

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(?:[0-9.]+(?:ms|s|min|m|h|d))+")
_PARTS = re.compile(r"([0-9.]+)(ms|s|min|m|h|d)")


class WrongScenario(Exception):
    """A scenario cannot be understood."""


class Table:
    """A table of a scenario, read key by key; what nobody has read is an error.

    Args:
        values: the table.
        where: its place, for errors.
        rng: draws what is given as `{between = [a, b]}`.
    """

    def __init__(self, values: Any, where: str, rng: random.Random) -> None:
        if not isinstance(values, dict):
            raise WrongScenario(f"{where}: {values!r} is no table")
        self.where = where
        self.rng = rng
        self._values = dict(values)

    def take(self, key: str, default: Any = None) -> Any:
        """Give a value as it stands."""
        return self._values.pop(key, default)

    def has(self, key: str) -> bool:
        """Whether it is there, and was not read."""
        return key in self._values

    def number(self, key: str, default: float | None = None) -> float:
        """Give a number: 3, "3 %", "3MB"."""
        return self._read(key, default, number)

    def seconds(self, key: str, default: float | None = None) -> float:
        """Give a duration in seconds."""
        return self._read(key, default, seconds)

    def _read(self, key: str, default: float | None, read: Callable[[Any, str], float]) -> float:
        value = self._values.pop(key, default)
        if value is None:
            raise WrongScenario(f"{self.where}: {key} is missing")
        if isinstance(value, dict):
            low, high = Table(value, f"{self.where}.{key}", self.rng).pair(read)
            return self.rng.uniform(low, high)
        return read(value, f"{self.where}.{key}")

    def pair(self, read: Callable[[Any, str], float]) -> tuple[float, float]:
        """Give both ends of `{between = [a, b]}`."""
        ends = self.take("between")
        self.done()
        if not isinstance(ends, list) or len(ends) != 2:
            raise WrongScenario(f"{self.where}: write {{between = [least, most]}}")
        return read(ends[0], self.where), read(ends[1], self.where)

    def done(self) -> None:
        """Complain of what is left."""
        if self._values:
            raise WrongScenario(f"{self.where}: {', '.join(map(repr, self._values))} means nothing here")


def number(value: Any, where: str) -> float:
    """Read a number, a share in per cent, or a size."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        sign, text = (-1, text[1:]) if text.startswith("-") else (1, text)
        if text == "none":
            return 0.0
        try:
            return sign * (
                float(text[:-1]) / 100 if text.endswith("%") else parse_size_bytes(text, where, minimum=0)
            )
        except (ValueError, InvalidInput) as error:
            raise WrongScenario(f"{where}: {error}") from None
    raise WrongScenario(f"{where}: {value!r} is no number")


def seconds(value: Any, where: str) -> float:
    """Read a duration: a number of seconds, or "90s", "5m", "1h30m"."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    parts = _PARTS.findall(value) if isinstance(value, str) and _DURATION.fullmatch(value) else []
    if not parts:
        raise WrongScenario(f'{where}: {value!r} is no duration. Write "90s", "5m", "1h30m", or seconds')
    return sum(float(count) * _SECONDS[unit] for count, unit in parts)
