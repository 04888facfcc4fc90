"""Values in a scenario: tables read key by key, numbers, sizes, durations; what is wrong is said with its place."""

from __future__ import annotations

import difflib
import math
import random
import re
from collections.abc import Callable
from typing import Any

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.units import parse_size_bytes

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|s|min|m|h|d))+")
_PARTS = re.compile(rf"({_NUMBER})(ms|s|min|m|h|d)")


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
        self._values = {key: value for key, value in values.items() if value is not None}
        self._known: set[str] = set()

    def take(self, key: str, default: Any = None) -> Any:
        """Give a value as it stands."""
        self._known.add(key)
        return self._values.pop(key, default)

    def has(self, key: str) -> bool:
        """Whether it is there, and was not read."""
        self._known.add(key)
        return key in self._values

    def text(self, key: str, default: str = "") -> str:
        """Give a string."""
        value = self.take(key, default)
        if not isinstance(value, str):
            raise WrongScenario(f"{self.where}.{key}: {value!r} is no text")
        return value

    def texts(self, key: str) -> list[str]:
        """Give a list of strings, of which there may be one alone."""
        value = self.take(key, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
            raise WrongScenario(f"{self.where}.{key}: {value!r} is no list of texts")
        return values

    def flag(self, key: str, *, default: bool) -> bool:
        """Give true or false."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise WrongScenario(f"{self.where}.{key}: write true or false, not {value!r}")
        return value

    def items(self, key: str) -> list[Any]:
        """Give a list of tables, of which there may be one alone."""
        value = self.take(key, [])
        return value if isinstance(value, list) else [value]

    def periods(self, key: str) -> list[tuple[float, float]]:
        """Give a list of spans of time: `[["10m", "40m"], ["1h", "2h"]]`."""
        return periods(self.take(key, []), f"{self.where}.{key}")

    def number(self, key: str, default: float | None = None) -> float:
        """Give a number: 3, "3 %", "3MB"."""
        return self._read(key, default, number)

    def count(self, key: str, default: int, most: int = 10_000) -> int:
        """Give a whole number from 1 on."""
        value = self.number(key, default)
        if not 1 <= value <= most or value != int(value):
            raise WrongScenario(f"{self.where}.{key}: {value:g} is no whole number from 1 to {most}")
        return int(value)

    def share(self, key: str, default: float | None = None, most: float = 1.0) -> float:
        """Give a number from 0 to 1, or a little more."""
        value = self.number(key, default)
        if not 0 <= value <= most:
            raise WrongScenario(f"{self.where}.{key}: {value:g} is not between 0 and {most:g}")
        return value

    def seconds(self, key: str, default: float | None = None) -> float:
        """Give a duration in seconds."""
        return self._read(key, default, seconds)

    def some_seconds(self, key: str, default: float | None = None) -> float:
        """Give a duration in seconds that is not nothing."""
        value = self.seconds(key, default)
        if value <= 0:
            raise WrongScenario(f"{self.where}.{key}: it must take some time")
        return value

    def _read(self, key: str, default: float | None, read: Callable[[Any, str], float]) -> float:
        if not self.has(key) and default is not None:
            return default
        value = self.take(key)
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
        if not self._values:
            return
        key = next(iter(self._values))
        near = difflib.get_close_matches(str(key), self._known, 1)
        meant = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(self._known))}"
        raise WrongScenario(f"{self.where}: {key!r} means nothing here{meant}")


def number(value: Any, where: str) -> float:
    """Read a number, a share in per cent, or a size."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
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
        except InvalidInput as error:
            raise WrongScenario(str(error)) from None
        except ValueError:
            pass
    raise WrongScenario(f'{where}: {value!r} is no number. Write 3, 0.3, "30%", "250MB", or "none"')


def seconds(value: Any, where: str) -> float:
    """Read a duration: a number of seconds, or "90s", "5m", "1h30m"."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    parts = _PARTS.findall(value) if isinstance(value, str) and _DURATION.fullmatch(value) else []
    if not parts:
        raise WrongScenario(f'{where}: {value!r} is no duration. Write "90s", "5m", "1h30m", or seconds')
    return sum(float(count) * _SECONDS[unit] for count, unit in parts)


def periods(value: Any, where: str) -> list[tuple[float, float]]:
    """Read spans of time, each with its beginning and its end."""
    if not isinstance(value, list):
        raise WrongScenario(f'{where}: write [["10m", "40m"], …], not {value!r}')
    found: list[tuple[float, float]] = []
    for place, item in enumerate(value):
        here = f"{where}[{place}]"
        if not isinstance(item, list) or len(item) != 2:
            raise WrongScenario(f'{here}: write ["10m", "40m"], not {item!r}')
        start, end = seconds(item[0], here), seconds(item[1], here)
        if end <= start:
            raise WrongScenario(f"{here}: it ends before it begins")
        found.append((start, end))
    return found
