"""Series of measurements: what a stretch of time comes to, how it is drawn, and how fast it grows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

TASK_METRICS: Final = (
    "rss_bytes",
    "pss_bytes",
    "vsz_bytes",
    "cpu_percent",
    "fds",
    "read_bytes",
    "written_bytes",
)
"""Of a run. `cpu_percent` is of one processor; bytes read and written are counters."""
MACHINE_METRICS: Final = (
    "available_bytes",
    "swap_used_bytes",
    "load",
    "cpu_pressure",
    "memory_pressure",
    "io_pressure",
    "disk_free_bytes",
)
"""Of the machine; pressure as `Pressure` has it, in which some waited."""

BARS: Final = "▁▂▃▄▅▆▇█"
GAP: Final = " "
P95: Final = 0.95

Values = tuple[float | None, ...]
"""One measurement of each metric, None where it was not made."""


class Stat(NamedTuple):
    """What the measurements of one metric in a stretch of time come to, and how many they were."""

    mean: float
    low: float
    high: float
    samples: int


class Row(NamedTuple):
    """A stretch of time.

    Attributes:
        at: its beginning, seconds since the epoch.
        span_s: how long it is.
        stats: one for each metric, None where nothing was measured.
    """

    at: float
    span_s: float
    stats: tuple[Stat | None, ...]


class Summary(NamedTuple):
    """What a window comes to; `p95`: what the means of 95 % of its time do not exceed."""

    low: float
    mean: float
    high: float
    p95: float
    growth_per_minute: float | None


def row_of(at: float, span_s: float, measured: Sequence[Values]) -> Row:
    """Sum up the measurements of a stretch of time; there is at least one."""
    return Row(at, span_s, tuple(_stat(values) for values in zip(*measured, strict=True)))


def _stat(values: Iterable[float | None]) -> Stat | None:
    known = [value for value in values if value is not None]
    return Stat(math.fsum(known) / len(known), min(known), max(known), len(known)) if known else None


def merged(stats: Iterable[Stat | None]) -> Stat | None:
    """Make one of several; None if there is nothing in any."""
    known = [stat for stat in stats if stat is not None]
    count = sum(stat.samples for stat in known)
    if not count:
        return None
    mean = math.fsum(stat.mean * stat.samples for stat in known) / count
    return Stat(mean, min(stat.low for stat in known), max(stat.high for stat in known), count)


def sliced(rows: Sequence[Row], begin: float, end: float, points: int) -> list[Row]:
    """Cut a window into slices of equal length, none shorter than the longest row.

    Args:
        rows: oldest first.
        begin: of the window, seconds since the epoch.
        end: of the window.
        points: how many slices at most, at least 1.

    Returns:
        Oldest first; a slice in which no row begins has no stats.
    """
    if not rows:
        return []
    longest_s = max(row.span_s for row in rows)
    count = max(1, min(points, math.ceil((end - begin) / longest_s))) if longest_s else points
    length_s = (end - begin) / count
    found: list[list[Row]] = [[] for _ in range(count)]
    for row in rows:
        if begin <= row.at <= end:
            found[min(count - 1, int((row.at - begin) / length_s)) if length_s else 0].append(row)
    width = len(rows[0].stats)
    return [
        Row(
            begin + place * length_s,
            length_s,
            tuple(merged(row.stats[metric] for row in inside) for metric in range(width)),
        )
        for place, inside in enumerate(found)
    ]


def summary(rows: Sequence[Row], metric: int) -> Summary | None:
    """Sum up one metric over all rows; None if it was never measured."""
    known = [(row.at + row.span_s / 2, stat) for row in rows if (stat := row.stats[metric]) is not None]
    whole = merged(stat for _, stat in known)
    if whole is None:
        return None
    left = P95 * whole.samples
    p95 = whole.high
    for stat in sorted((stat for _, stat in known), key=lambda stat: stat.mean):
        left -= stat.samples
        p95 = stat.mean
        if left <= 0:
            break
    return Summary(whole.low, whole.mean, whole.high, p95, _growth_per_minute(known, whole.mean))


def _growth_per_minute(known: Sequence[tuple[float, Stat]], mean: float) -> float | None:
    """Give the slope of the line of least squares; None where there are not two moments."""
    weight = sum(stat.samples for _, stat in known)
    middle = math.fsum(at * stat.samples for at, stat in known) / weight
    spread = math.fsum(stat.samples * (at - middle) ** 2 for at, stat in known)
    if not spread:
        return None
    together = math.fsum(stat.samples * (at - middle) * (stat.mean - mean) for at, stat in known)
    return 60 * together / spread


def sparkline(values: Sequence[float | None]) -> str:
    """Draw values as bars between the least and the greatest; one that is missing as a gap."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    top = len(BARS) - 1
    return "".join(
        GAP if value is None else BARS[round(top * (value - low) / (high - low)) if high > low else 0]
        for value in values
    )
