"""Mean and deviation of what is seen, the older the less it counts. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence


class Moments:
    """The weighted mean and standard deviation of values; weights halve with age.

    Args:
        half_life_s: after which a value weighs half of one that is added now.
        stored: what `to_json` gave.
    """

    __slots__ = ("_at", "_half_life_s", "_squares", "mean", "weight")

    def __init__(self, half_life_s: float, stored: Sequence[float] | None = None) -> None:
        self._half_life_s = half_life_s
        self._at, self.weight, self.mean, self._squares = stored or (0.0, 0.0, 0.0, 0.0)

    def to_json(self) -> list[float]:
        """Give what moments can be made of again."""
        return [self._at, self.weight, self.mean, self._squares]

    def add(self, value: float, weight: float, at: float) -> None:
        """Take a value; `at` in seconds since the epoch. One from before the last counts as of now."""
        if weight <= 0:
            return
        kept = 2.0 ** -max(0.0, (at - self._at) / self._half_life_s)
        self._at = max(at, self._at)
        before = self.weight * kept
        self.weight = before + weight
        step = value - self.mean
        self.mean += step * weight / self.weight
        self._squares = self._squares * kept + weight * step * (value - self.mean)

    @property
    def deviation(self) -> float:
        """The standard deviation; 0 before there are two values."""
        return math.sqrt(max(0.0, self._squares / self.weight)) if self.weight else 0.0
