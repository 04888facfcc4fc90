"""The shapes that a series can have, each from a few numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

from scenario.values import Table

Series = Callable[[float, float], float]
"""Gives the value at a time of the run, for the tick that ends then; both in seconds."""


def _ramp(table: Table) -> Series:
    """A straight line: `over` a time to a value, or rising `per` time, at `most` to a value."""
    start = table.number("from", 0)
    if table.has("to"):
        end, over = table.number("to"), table.seconds("over")
        return lambda u, _dt: start + (end - start) * min(1.0, u / over)
    slope = table.number("rise") / table.seconds("per", 60)
    most = table.number("most", math.inf)
    return lambda u, _dt: min(most, start + slope * u)


def _warmup(table: Table) -> Series:
    start, end, tau = table.number("from", 0), table.number("to"), table.seconds("tau")
    return lambda u, _dt: end - (end - start) * math.exp(-u / tau)


def _exponential(table: Table) -> Series:
    start, doubling, most = table.number("from"), table.seconds("doubles"), table.number("most", math.inf)
    return lambda u, _dt: min(most, start * 2.0 ** min(60.0, u / doubling))


def _step(table: Table) -> Series:
    start, end, at = table.number("from", 0), table.number("to"), table.seconds("at")
    return lambda u, _dt: end if u >= at else start


def _stairs(table: Table) -> Series:
    """Rises by so much, every so often, so many `times`."""
    start, rise, every = table.number("from", 0), table.number("rise"), table.seconds("every")
    times = table.number("times", math.inf)
    return lambda u, _dt: start + rise * min(times, u // every)


def _sawtooth(table: Table) -> Series:
    """Rises from low to high and falls at once; `jitter` is how much a tooth's length varies."""
    low, high, period = table.number("low"), table.number("high"), table.seconds("period")
    jitter, rng = table.number("jitter", 0), table.rng
    began, length = -period * rng.random(), period

    def value(u: float, _dt: float) -> float:
        nonlocal began, length
        while u >= began + length:
            began, length = began + length, period * rng.uniform(1 - jitter, 1 + jitter)
        return low + (high - low) * (u - began) / length

    return value


def _ar1(table: Table) -> Series:
    """Falls back to its mean: `phi` is what is left of a deviation after a second."""
    mean, sd, phi, rng = table.number("mean"), table.number("sd"), table.number("phi"), table.rng
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
    mean, swing, period = table.number("mean"), table.number("swing"), table.seconds("period")
    phase = table.rng.random()
    return lambda u, _dt: mean + swing * math.sin(2 * math.pi * (u / period + phase))


def _bursts(table: Table) -> Series:
    """Every so often, for a while, a peak; `jitter` varies the time between them."""
    base, peak = table.number("base", 0), table.number("peak")
    every, lasts = table.seconds("every"), table.seconds("lasts")
    jitter, rng = table.number("jitter", 0), table.rng
    begins = table.seconds("first", every)

    def value(u: float, _dt: float) -> float:
        nonlocal begins
        while u > begins + lasts:
            begins += max(lasts, every * rng.uniform(1 - jitter, 1 + jitter))
        return peak if u >= begins else base

    return value


def _lines(table: Table) -> Series:
    """Output, line by line, as bytes a second: one every so often, varied by `jitter`, or by `spread` (lognormal)."""
    every, size, rng = table.seconds("every"), table.number("bytes", 80), table.rng
    jitter, spread = table.number("jitter", 0.3), table.number("spread", 0)
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
}
