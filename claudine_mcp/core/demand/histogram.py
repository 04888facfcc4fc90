"""A histogram that forgets: buckets that grow, weights that halve with age [VPA recommender]. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from claudine_mcp.core.models import JSON

_MOST_HALVINGS: Final = 64
"""Weights grow with time instead of the old ones being made smaller at each step; after so many they all are."""
_NOTHING: Final = 1e-9
"""Share of the whole below which a bucket is forgotten."""
_MOST_BUCKETS: Final = 400


class Scale(NamedTuple):
    """Buckets of which the first is `first` wide, and each next one wider by the factor `growth`."""

    first: float
    growth: float

    def bucket_of(self, value: float) -> int:
        """Give the bucket in which a value is; one below 0 is in the first, too large a one in the last."""
        if value < self.first:
            return 0
        found = int(math.log(value * (self.growth - 1) / self.first + 1) / math.log(self.growth))
        return min(found, _MOST_BUCKETS - 1)

    def start_of(self, index: int) -> float:
        """Give where a bucket begins, which is where the one before it ends."""
        return self.first * (self.growth**index - 1) / (self.growth - 1)


MEMORY: Final = Scale(10_000_000, 1.05)
"""Bytes [VPA recommender]."""
TIME: Final = Scale(0.1, 1.05)
"""Seconds."""


class Histogram:
    """Weights by bucket.

    Args:
        scale: of its buckets.
        half_life_s: after which a value weighs half of one that is added now.
        stored: what `to_json` gave.
    """

    __slots__ = ("_half_life_s", "_since", "scale", "weights")

    def __init__(self, scale: Scale, half_life_s: float, stored: Mapping[str, Any] | None = None) -> None:
        self.scale = scale
        self._half_life_s = half_life_s
        self._since: float | None = None if stored is None else stored["at"]
        self.weights: dict[int, float] = {} if stored is None else dict(stored["weights"])

    def to_json(self) -> JSON:
        """Give what a histogram can be made of again; six digits of each weight."""
        weights = [[i, float(f"{w:.6g}")] for i, w in sorted(self.weights.items())]
        return {"at": self._since, "weights": weights}

    def add(self, value: float, weight: float, at: float) -> None:
        """Take a value; `at` in seconds since the epoch. One from before the last counts as of now."""
        if weight <= 0:
            return
        if self._since is None:
            self._since = at
        halvings = max(0.0, (at - self._since) / self._half_life_s)
        if halvings > _MOST_HALVINGS:
            self._rescale(at, halvings)
            halvings = 0.0
        index = self.scale.bucket_of(value)
        self.weights[index] = self.weights.get(index, 0.0) + weight * 2.0**halvings

    def fading(self, at: float) -> float:
        """Give what one of `weights` has to be multiplied by to be what it weighs at a time."""
        return 1.0 if self._since is None else 2.0 ** -max(0.0, (at - self._since) / self._half_life_s)

    def quantile(self, share: float) -> float | None:
        """Give the end of the bucket in which a share of all weight is reached; None: nothing was added."""
        wanted, passed, last = share * sum(self.weights.values()), 0.0, None
        for last, weight in sorted(self.weights.items()):  # noqa: B007 - the last one, if rounding passes them all
            passed += weight
            if passed >= wanted:
                break
        return None if last is None else self.scale.start_of(last + 1)

    def _rescale(self, at: float, halvings: float) -> None:
        factor = 2.0**-halvings
        least = _NOTHING * sum(self.weights.values()) * factor
        self.weights = {i: left for i, w in self.weights.items() if (left := w * factor) > least}
        self._since = at
