"""Whether memory only ever grows: minima of buckets of many lengths, the valleys of a sawtooth, and a test.

A test for a trend alone (Mann-Kendall) alarms on much that is harmless: measured on the minima of six buckets, on
2.5 % of random walks and 21 % of single steps. What is asked for here instead is what those lack. The drift must be
large for the unevenness of its steps, which a step and a walk fail, and must not have been faster before, which a
warm-up and a cache that fills fail. `docs/rules.md` has the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Any, Final, NamedTuple

from claudine_mcp.core.models import JSON

BUCKET_S: Final = 30.0
LEVELS: Final = 12
"""Each level's buckets are twice as long as those of the level below: from half a minute to 17 hours."""
LEAST: Final = 12
MOST: Final = 16
"""How many minima are judged together."""

LEAST_GROWTH_BYTES: Final = 50_000_000
LEAST_GROWTH: Final = 0.10
"""Growth must exceed both; the second is a share of where it began."""
DRIFT: Final = 6.0
"""Student's t of the steps between minima. Of all the windows of a day of a random walk, hardly any exceeds it."""
BULGE: Final = 0.06
"""How far the minima may lie above the straight line from the first to the last, as a share of the growth."""

VALLEYS: Final = 6
VALLEY_BULGE: Final = 0.06
VALLEY_FALL: Final = 0.03
VALLEY_REGULAR: Final = 1.5
"""A sawtooth is judged by its valleys once there are six: on a line both ways, hardly ever lower than the one
before, none further from the next than one and a half times what is usual."""

FALL_BYTES: Final = 40_000_000
FALL: Final = 0.08
FALL_OF_RISE: Final = 0.5
"""Memory has risen and fallen, if both were more than so many bytes and this share of the peak, and it lost half of
what it had risen by. Less is not what `is_enough` asks for."""
BUCKETS_A_TOOTH: Final = 0.25
"""The share of a tooth that a bucket must be as long as, so that what is judged is at least three teeth long."""
REMEMBERED: Final = 4.0
"""A sawtooth is over when no tooth came in four times the longest one's length."""


STOPPED_S: Final = 1200.0
STOPPED: Final = 0.5
"""Growth is over when for so long, and for this share of the time that it lasted, memory has risen at less than this
share of its pace: noise hides a slow leak from the test now and then, and does not end it."""


class Growth(NamedTuple):
    """Memory that grew steadily, from `start_bytes` to `end_bytes` within `span_s`, without valleys in between."""

    start_bytes: float
    end_bytes: float
    span_s: float

    @property
    def bytes_per_s(self) -> float:
        """The slope."""
        return (self.end_bytes - self.start_bytes) / self.span_s


def is_enough(start: float, end: float) -> bool:
    """Whether growth is large enough to matter."""
    return end - start > max(LEAST_GROWTH_BYTES, LEAST_GROWTH * start)


def is_steady(minima: Sequence[float]) -> bool:
    """Whether the minima of buckets of one length rise evenly, and not less and less."""
    start, end, steps = minima[0], minima[-1], len(minima) - 1
    if not is_enough(start, end):
        return False
    mean = (end - start) / steps
    highest = BULGE * (end - start)
    if any(value - (start + mean * place) > highest for place, value in enumerate(minima)):
        return False
    variance = sum((after - before - mean) ** 2 for before, after in pairwise(minima)) / (steps - 1)
    return mean * sqrt(steps) >= DRIFT * sqrt(variance)


def are_rising(valleys: Sequence[tuple[float, float]]) -> bool:
    """Whether the valleys of a sawtooth, each with its time, come regularly and rise on a line."""
    (began, start), (ended, end) = valleys[0], valleys[-1]
    if not is_enough(start, end):
        return False
    growth, span = end - start, ended - began
    off, lower = VALLEY_BULGE * growth, VALLEY_FALL * growth
    high = start
    for at, value in valleys:
        if value < high - lower or abs(value - start - growth * (at - began) / span) > off:
            return False
        high = max(high, value)
    gaps = sorted(later - sooner for (sooner, _), (later, _) in pairwise(valleys))
    return gaps[-1] <= VALLEY_REGULAR * gaps[len(gaps) // 2]


class MemoryTrend:
    """Remembers a run's memory in a few hundred numbers, however long the run.

    Attributes:
        growths: how memory has been growing as of now, by the shortest buckets first; mostly empty.
        has_stopped: whether the growth that was seen last is over; true if there was none.
    """

    __slots__ = (
        "_bucket",
        "_bucket_end_s",
        "_fell_s",
        "_found",
        "_grew",
        "_high",
        "_levels",
        "_low",
        "_low_s",
        "_rising",
        "_teeth",
        "_valleys",
        "bucket_s",
        "growths",
        "has_stopped",
    )

    def __init__(self, bucket_s: float = BUCKET_S) -> None:
        self.bucket_s = bucket_s
        self.growths: tuple[Growth, ...] = ()
        self.has_stopped = True
        # Of the growth that was seen last: when, what memory was then, bytes a second, and for how long.
        self._grew: tuple[float, float, float, float] | None = None
        # A level: its minima, and one that waits for its neighbour to be handed on to the next level.
        self._levels: list[tuple[list[float], list[float]]] = [([], []) for _ in range(LEVELS)]
        self._found: list[Growth | None] = [None] * LEVELS
        self._bucket: float | None = None
        # What happens in the first bucket is a start, not a trend.
        self._bucket_end_s = 2 * bucket_s
        self._low = self._high = -1.0
        self._low_s = self._fell_s = 0.0
        self._teeth: list[float] = []
        self._valleys: list[tuple[float, float]] = []
        self._rising: Growth | None = None

    def add(self, clock_s: float, memory: float) -> None:
        """Take the mean of some seconds; `clock_s` is the run's own clock, which never goes back."""
        if self._low < 0:
            self._low, self._low_s, self._high = memory, clock_s, memory
        elif memory > self._high:
            self._high = memory
        elif self._has_fallen(memory):
            self._fall(clock_s, memory)
        elif memory < self._low:
            self._low, self._low_s, self._high = memory, clock_s, memory
        if clock_s > self._bucket_end_s - self.bucket_s:
            self._bucket = memory if self._bucket is None else min(self._bucket, memory)
        if clock_s >= self._bucket_end_s and self._bucket is not None:
            self._close(self._bucket)
            self._bucket = None
            self._bucket_end_s = clock_s + self.bucket_s
            self._sum_up(clock_s)
            self._look_whether_over(clock_s, memory)

    def longest_tooth_s(self, clock_s: float) -> float:
        """How long memory rises before it falls back, as far as it still does; 0 if it does not."""
        longest = max(self._teeth, default=0.0)
        return longest if clock_s - self._fell_s <= REMEMBERED * longest else 0.0

    def _has_fallen(self, memory: float) -> bool:
        rise, fall = self._high - self._low, self._high - memory
        return min(rise, fall) >= max(FALL_BYTES, FALL * self._high) and fall >= FALL_OF_RISE * rise

    def _fall(self, clock_s: float, memory: float) -> None:
        self._valleys.append((self._low_s, self._low))
        del self._valleys[:-MOST]
        self._teeth.append(clock_s - self._low_s)
        del self._teeth[:-MOST]
        self._fell_s = self._low_s = clock_s
        self._low = self._high = memory
        self._rising = None
        for count in range(len(self._valleys), VALLEYS - 1, -1):
            window = self._valleys[-count:]
            if are_rising(window):
                self._rising = Growth(window[0][1], window[-1][1], window[-1][0] - window[0][0])
                break
        self._sum_up(clock_s)

    def _close(self, minimum: float) -> None:
        """End a bucket: of the shortest level, and where that makes a pair, of those above."""
        bucket_s = self.bucket_s
        for level, (minima, waiting) in enumerate(self._levels):
            minima.append(minimum)
            del minima[:-MOST]
            self._found[level] = None
            for count in range(len(minima), LEAST - 1, -1):
                window = minima[-count:]
                if is_steady(window):
                    self._found[level] = Growth(window[0], window[-1], (count - 1) * bucket_s)
                    break
            if not waiting:
                waiting.append(minimum)
                return
            minimum = min(minimum, waiting.pop())
            bucket_s *= 2

    def _sum_up(self, clock_s: float) -> None:
        tooth_s = self.longest_tooth_s(clock_s)
        found = [
            growth
            for level, growth in enumerate(self._found)
            # Buckets that are much shorter than a tooth of a sawtooth see nothing but its rise.
            if growth is not None and self.bucket_s * 2**level >= BUCKETS_A_TOOTH * tooth_s
        ]
        if self._rising is not None and tooth_s:
            found.append(self._rising)
        self.growths = tuple(found)

    def _look_whether_over(self, clock_s: float, memory: float) -> None:
        if self.growths:
            longest = self.growths[-1]
            self._grew = (clock_s, memory, longest.bytes_per_s, longest.span_s)
            self.has_stopped = False
        elif self._grew is not None:
            at, high, pace, span_s = self._grew
            past_s = clock_s - at
            if past_s >= max(STOPPED_S, STOPPED * span_s) and memory - high < STOPPED * pace * past_s:
                self._grew, self.has_stopped = None, True

    def to_json(self) -> JSON:
        """All of it, for `from_json`."""
        return {
            "bucketSeconds": self.bucket_s,
            "levels": self._levels,
            "bucket": self._bucket,
            "bucketEnd": self._bucket_end_s,
            "low": [self._low_s, self._low],
            "high": self._high,
            "fell": self._fell_s,
            "teeth": self._teeth,
            "valleys": self._valleys,
            "found": self._found,
            "rising": self._rising,
            "growths": self.growths,
            "grew": self._grew,
        }

    @classmethod
    def from_json(cls, stored: Any) -> MemoryTrend:
        """What `to_json` gave."""
        trend = cls(stored["bucketSeconds"])
        trend._levels = [(list(minima), list(waiting)) for minima, waiting in stored["levels"]]
        trend._bucket, trend._bucket_end_s = stored["bucket"], stored["bucketEnd"]
        trend._low_s, trend._low = stored["low"]
        trend._high, trend._fell_s = stored["high"], stored["fell"]
        trend._teeth = list(stored["teeth"])
        trend._valleys = [(at, value) for at, value in stored["valleys"]]
        trend._found = [None if values is None else Growth(*values) for values in stored["found"]]
        trend._rising = None if stored["rising"] is None else Growth(*stored["rising"])
        trend.growths = tuple(Growth(*values) for values in stored["growths"])
        trend._grew = None if stored["grew"] is None else tuple(stored["grew"])
        trend.has_stopped = trend._grew is None
        return trend
