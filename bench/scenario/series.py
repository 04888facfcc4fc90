"""A small language of series: what a scenario says of a quantity becomes a function of time.

`bench/scenarios/README.md` describes it. A series is a number; a table that names a shape; a list of series that follow
one another; or sums and repetitions of those.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from scenario.shapes import SHAPES, Series
from scenario.values import Table, WrongScenario, number


def series(spec: Any, where: str, rng: random.Random) -> Series:
    """Make a series of what a scenario says."""
    if isinstance(spec, list):
        return _sequence(spec, where, rng)
    if not isinstance(spec, dict):
        value = number(spec, where)
        return lambda _u, _dt: value
    if "between" in spec:
        value = rng.uniform(*Table(spec, where, rng).pair(number))
        return lambda _u, _dt: value
    table = Table(spec, where, rng)
    noise = table.number("noise", 0)
    names = [name for name in (*COMPOSED, *SHAPES) if table.has(name)]
    if len(names) != 1:
        found = f", not {' and '.join(names)}" if names else ""
        raise WrongScenario(f"{where}: name one shape of {', '.join((*COMPOSED, *SHAPES))}{found}")
    inner = table.take(names[0])
    place = f"{where}.{names[0]}"
    table.done()
    if names[0] in COMPOSED:
        shape = COMPOSED[names[0]](inner, place, rng)
    else:
        parameters = Table(inner, place, rng)
        shape = SHAPES[names[0]](parameters)
        parameters.done()
    return shape if not noise else lambda u, dt: max(0.0, shape(u, dt) + rng.gauss(0.0, noise))


def is_constant(spec: Any) -> bool:
    """Whether a series needs no evaluation."""
    return not isinstance(spec, list | dict) or (isinstance(spec, dict) and "between" in spec)


def _sequence(items: Any, where: str, rng: random.Random) -> Series:
    """One after the other, each for its time; the last lasts on."""
    if not isinstance(items, list) or not items:
        raise WrongScenario(f"{where}: a list of series must not be empty")
    parts: list[tuple[float, Series]] = []
    for place, item in enumerate(items):
        here = f"{where}[{place}]"
        values = dict(item) if isinstance(item, dict) else {"value": item}
        table = Table({"for": values.pop("for", "3650d" if place == len(items) - 1 else None)}, here, rng)
        inner = values.pop("value") if set(values) == {"value"} else values
        parts.append((table.seconds("for"), series(inner, here, rng)))
    ends: list[float] = []
    for duration, _ in parts:
        ends.append((ends[-1] if ends else 0.0) + duration)
    current = 0

    def value(u: float, dt: float) -> float:
        nonlocal current
        while current + 1 < len(parts) and u > ends[current]:
            current += 1
        return parts[current][1](u - (ends[current - 1] if current else 0.0), dt)

    return value


def _sum(items: Any, where: str, rng: random.Random) -> Series:
    if not isinstance(items, list) or not items:
        raise WrongScenario(f"{where}: write a list of series")
    parts = [series(item, f"{where}[{place}]", rng) for place, item in enumerate(items)]
    return lambda u, dt: sum(part(u, dt) for part in parts)


def _repeat(items: Any, where: str, rng: random.Random) -> Series:
    """A list, over and over: durations that vary are drawn anew each time."""
    if not isinstance(items, list) or not items:
        raise WrongScenario(f"{where}: write a list of series, each with its for")
    started, length, part = 0.0, -1.0, None

    def begin(at: float) -> None:
        nonlocal started, length, part
        started, part = at, []
        drawn: list[Any] = []
        length = 0.0
        for place, item in enumerate(items):
            values = dict(item) if isinstance(item, dict) else {"value": item}
            duration = Table({"for": values.pop("for", None)}, f"{where}[{place}]", rng).seconds("for")
            drawn.append({**values, "for": duration})
            length += duration
        if length <= 0:
            raise WrongScenario(f"{where}: it must take some time")
        part = _sequence(drawn, where, rng)

    begin(0.0)

    def value(u: float, dt: float) -> float:
        while u > started + length:
            begin(started + length)
        assert part is not None
        return part(u - started, dt)

    return value


COMPOSED: dict[str, Callable[[Any, str, random.Random], Series]] = {
    "value": series,
    "sum": _sum,
    "sequence": _sequence,
    "repeat": _repeat,
}
