"""How long the runs of a class take, and how much longer one that has run for a while. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping

from claudine_mcp.core.demand.histogram import Scale
from claudine_mcp.core.eta import Eta

_NOTHING = 1e-9


class Durations:
    """The distribution of how long runs take, by the estimator of Kaplan and Meier.

    A run that was ended early counts as one that takes longer than that. Within a bucket runs end evenly.

    Args:
        scale: of the buckets.
        ended: weight of the runs that came to their own end, by bucket.
        censored: weight of those that were ended before.
    """

    __slots__ = ("_ended_by", "_ends")

    def __init__(self, scale: Scale, ended: Mapping[int, float], censored: Mapping[int, float]) -> None:
        at_risk = sum(ended.values()) + sum(censored.values())
        left = 1.0
        self._ends, self._ended_by = (
            [0.0],
            [0.0],
        )  # when; and which share of all has ended by then, which only rises
        for index in sorted({*ended, *censored}):
            over = ended.get(index, 0.0)
            if over > 0:
                if (start := scale.start_of(index)) > self._ends[-1]:
                    self._ends.append(start)
                    self._ended_by.append(1 - left)
                left *= max(0.0, 1 - over / at_risk)
                self._ends.append(scale.start_of(index + 1))
                self._ended_by.append(1 - left)
            at_risk -= over + censored.get(index, 0.0)

    def eta(self, age_s: float) -> Eta | None:
        """Give how much longer a run takes that has taken `age_s`; None: it is beyond what is known."""
        half, most = self.remaining(age_s, 0.5), self.remaining(age_s, 0.9)
        return None if half is None or most is None else Eta(half, most)

    def remaining(self, age_s: float, share: float) -> float | None:
        """Give the quantile `share` (0 to 1) of (D - age | D > age), in seconds.

        None: no run that came to its own end has taken so long.
        """
        by_now = self._share_ended_by(age_s)
        if 1 - by_now <= _NOTHING:
            return None
        wanted = by_now + share * (1 - by_now)
        at = bisect_left(self._ended_by, wanted - _NOTHING)
        if at == len(self._ended_by):
            return None
        if at == 0:
            return max(0.0, self._ends[0] - age_s)
        low, high = self._ended_by[at - 1], self._ended_by[at]
        start, end = self._ends[at - 1], self._ends[at]
        within = 1.0 if high <= low else min(1.0, max(0.0, (wanted - low) / (high - low)))
        return max(0.0, start + within * (end - start) - age_s)

    def _share_ended_by(self, age_s: float) -> float:
        at = bisect_right(self._ends, age_s)
        if at == len(self._ends):
            return self._ended_by[-1]
        start, end = self._ends[at - 1], self._ends[at]
        low, high = self._ended_by[at - 1], self._ended_by[at]
        return low + (high - low) * (max(0.0, age_s) - start) / (end - start)
