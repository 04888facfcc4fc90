"""How long a run usually pauses, and from when on its silence means something.

The accrual failure detector of Hayashibara et al. (2004) in the form that Akka gave it, on the logarithm of the
pauses, since those range from seconds to hours. Only pauses count that are long enough to be noticed: among the
thousand lines of a burst, the silence between two bursts would look like a hang each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log, log10
from statistics import fmean, pstdev
from typing import Any, Final

from claudine_mcp.core.models import JSON

SUSPICION: Final = 8.0
"""Akka's threshold of φ: the chance that the run is merely slow is one in 10^8."""
DEVIATIONS_AT_SUSPICION: Final = 5.226
"""How many standard deviations above the mean that is: where `phi` gives `SUSPICION`."""
LEAST_DEVIATION: Final = 0.25
"""Of the logarithm: no run is so regular that a quarter more would mean something."""
TIMES_THE_LONGEST: Final = 2.0
"""A run of very different pauses has a wide distribution, by which an hour would be nothing special. What is twice
as long as anything yet is special all the same."""

TIMES_WHAT_RECURRED: Final = 1.5
"""What a run has done twice and come back from is its habit, however long ago and however rare: half as long again
means nothing."""

PAUSE_S: Final = 30.0
FEWEST: Final = 2
"""With fewer pauses the run has no habit."""
MOST: Final = 16
"""Older ones are forgotten."""


def phi(deviations: float) -> float:
    """Give the suspicion at a pause that is so many standard deviations above the mean (Akka's approximation)."""
    e = exp(-deviations * (1.5976 + 0.070566 * deviations * deviations))
    return -log10(e / (1.0 + e))


class Pauses:
    """The last pauses of a run, in one phase or one kind of stage.

    Args:
        shortest_s: what is shorter is none.
        stored: what `to_json` gave.
    """

    __slots__ = ("_last", "_most", "_shortest_s")

    def __init__(self, shortest_s: float = PAUSE_S, stored: Mapping[str, Any] | None = None) -> None:
        self._shortest_s = shortest_s
        self._last: list[float] = [] if stored is None else list(stored["last"])
        # The longest of all, and the one after it.
        self._most: list[float] = [0.0, 0.0] if stored is None else list(stored["most"])

    def add(self, pause_s: float) -> None:
        """Take a time that passed between two signs of life."""
        if pause_s >= self._shortest_s:
            self._last.append(pause_s)
            del self._last[:-MOST]
            self._most = sorted((*self._most, pause_s), reverse=True)[:FEWEST]

    @property
    def count(self) -> int:
        """How many are remembered."""
        return len(self._last)

    def at_least(self, long_s: float) -> int:
        """Give how many are remembered that took so long."""
        return sum(pause >= long_s for pause in self._last)

    @property
    def longest_s(self) -> float:
        """The longest that is remembered; 0 if none is."""
        return max(self._last, default=0.0)

    def suspicious_s(self) -> float:
        """Give the pause at which φ is `SUSPICION`; 0 while the run has no habit."""
        if len(self._last) < FEWEST:
            return 0.0
        logarithms = [log(pause) for pause in self._last]
        deviation = max(pstdev(logarithms), LEAST_DEVIATION)
        return exp(min(fmean(logarithms) + DEVIATIONS_AT_SUSPICION * deviation, 50.0))

    def usual_s(self, times_the_longest: float = TIMES_THE_LONGEST) -> float:
        """Give how long a pause means nothing, by this run's own habit; 0 while it has none."""
        usual_s = min(self.suspicious_s(), times_the_longest * self.longest_s)
        return max(usual_s, TIMES_WHAT_RECURRED * self._most[-1])

    def to_json(self) -> JSON:
        """All of it."""
        return {"last": self._last, "most": self._most}
