"""The shapes that a series can have, each from a few numbers."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable

from scenario.values import Table, WrongScenario, number, seconds

MOST_SPREAD = 5.0
"""Of a lognormal distribution: one duration in six is then 150 times the median."""
Series = Callable[[float, float], float]
"""Gives the value at a time of the run, for the tick that ends then; both in seconds."""


def _ramp(table: Table) -> Series:
    """A straight line: `over` a time to a value, or rising `per` time, at `most` to a value."""
    start = table.number("from", 0)
    if table.has("to"):
        end, over = table.number("to"), table.some_seconds("over")
        return lambda u, _dt: start + (end - start) * min(1.0, u / over)
    slope = table.number("rise") / table.some_seconds("per", 60)
    most = table.number("most", math.inf)
    return lambda u, _dt: min(most, start + slope * u)


def _warmup(table: Table) -> Series:
    start, end, tau = table.number("from", 0), table.number("to"), table.some_seconds("tau")
    return lambda u, _dt: end - (end - start) * math.exp(-u / tau)


def _exponential(table: Table) -> Series:
    start, doubling, most = (
        table.number("from"),
        table.some_seconds("doubles"),
        table.number("most", math.inf),
    )
    return lambda u, _dt: min(most, start * 2.0 ** min(60.0, u / doubling))


def _step(table: Table) -> Series:
    start, end, at = table.number("from", 0), table.number("to"), table.seconds("at")
    return lambda u, _dt: end if u >= at else start


def _stairs(table: Table) -> Series:
    """Rises by so much, every so often, so many `times`."""
    start, rise, every = table.number("from", 0), table.number("rise"), table.some_seconds("every")
    times = table.number("times", math.inf)
    return lambda u, _dt: start + rise * min(times, u // every)


def _sawtooth(table: Table) -> Series:
    """Rises from low to high and falls at once; `jitter` is how much a tooth's length varies."""
    low, high, period = table.number("low"), table.number("high"), table.some_seconds("period")
    jitter, rng = table.share("jitter", 0), table.rng
    began, length = -period * rng.random(), period

    def value(u: float, _dt: float) -> float:
        nonlocal began, length
        while u >= began + length:
            began, length = began + length, period * rng.uniform(1 - jitter, 1 + jitter)
        return low + (high - low) * (u - began) / length

    return value


def _ar1(table: Table) -> Series:
    """Falls back to its mean: `phi` is what is left of a deviation after a second."""
    mean, sd, phi, rng = table.number("mean"), table.number("sd"), table.share("phi"), table.rng
    off = rng.gauss(0.0, sd)

    def value(_u: float, dt: float) -> float:
        nonlocal off
        keep = phi**dt
        off = keep * off + rng.gauss(0.0, sd * math.sqrt(max(0.0, 1 - keep * keep)))
        return max(0.0, mean + off)

    return value


def _walk(table: Table) -> Series:
    """A random walk: `sd` is what it moves by in a second. It turns at `low` and `high`."""
    now, sd, rng = table.number("from"), table.number("sd"), table.rng
    low, high = table.number("low", 0), table.number("high", math.inf)

    def value(_u: float, dt: float) -> float:
        nonlocal now
        now += rng.gauss(0.0, sd * math.sqrt(dt))
        now = min(max(now, 2 * low - now), max(low, 2 * high - now))
        return now

    return value


def _wave(table: Table) -> Series:
    mean, swing, period = table.number("mean"), table.number("swing"), table.some_seconds("period")
    phase = table.rng.random()
    return lambda u, _dt: mean + swing * math.sin(2 * math.pi * (u / period + phase))


def _bursts(table: Table) -> Series:
    """Every so often, for a while, a peak; `jitter` varies the time between them."""
    base, peak = table.number("base", 0), table.number("peak")
    every, lasts = table.some_seconds("every"), table.some_seconds("lasts")
    jitter, rng = table.share("jitter", 0), table.rng
    begins = table.seconds("first", every)

    def value(u: float, _dt: float) -> float:
        nonlocal begins
        while u > begins + lasts:
            begins += max(lasts, every * rng.uniform(1 - jitter, 1 + jitter))
        return peak if u >= begins else base

    return value


def _lines(table: Table) -> Series:
    """Output, line by line, as bytes a second: one every so often, varied by `jitter`, or by `spread` (lognormal)."""
    every, size, rng = table.some_seconds("every"), table.number("bytes", 80), table.rng
    jitter, spread = table.share("jitter", 0.3), table.share("spread", 0, MOST_SPREAD)
    due = every * rng.random()

    def value(u: float, dt: float) -> float:
        nonlocal due
        count = 0
        while u >= due:
            factor = rng.lognormvariate(0.0, spread) if spread else rng.uniform(1 - jitter, 1 + jitter)
            due += max(0.001, every * factor)
            count += 1
        return count * size / dt if dt > 0 else 0.0

    return value


def _points(table: Table) -> Series:
    """Straight lines from point to point, as of a recorded series; before the first and after the last it stands."""
    rows = table.take("at", [])
    if not isinstance(rows, list) or not rows:
        raise WrongScenario(f'{table.where}.at: write [["0s", "100MB"], ["10m", "200MB"], …]')
    times: list[float] = []
    values: list[float] = []
    for place, row in enumerate(rows):
        here = f"{table.where}.at[{place}]"
        if not isinstance(row, list) or len(row) != 2:
            raise WrongScenario(f"{here}: {row!r} is no time and value")
        times.append(seconds(row[0], here))
        values.append(number(row[1], here))
        if place and times[-1] <= times[-2]:
            raise WrongScenario(f"{here}: it is not after the point before")

    def value(u: float, _dt: float) -> float:
        after = bisect.bisect_right(times, u)
        if after in {0, len(times)}:
            return values[max(0, after - 1)]
        share = (u - times[after - 1]) / (times[after] - times[after - 1])
        return values[after - 1] + share * (values[after] - values[after - 1])

    return value


SHAPES: dict[str, Callable[[Table], Series]] = {
    "ramp": _ramp,
    "warmup": _warmup,
    "exponential": _exponential,
    "step": _step,
    "stairs": _stairs,
    "sawtooth": _sawtooth,
    "ar1": _ar1,
    "walk": _walk,
    "wave": _wave,
    "bursts": _bursts,
    "lines": _lines,
    "points": _points,
}
