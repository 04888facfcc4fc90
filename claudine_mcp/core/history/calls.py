"""The last tool calls of a run: how often the same ones came in a row, and at what pace."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Final

LONGEST_CYCLE: Final = 3
PACES: Final = 9
FEWEST_PACES: Final = 2
"""How many times between calls are remembered, and with how many one may speak of a pace."""


def repeats(calls: Sequence[str]) -> int:
    """Give how often the last call, or the last two or three in turn, came in a row."""
    most = 0
    for length in range(1, min(LONGEST_CYCLE, len(calls)) + 1):
        cycle, times = calls[-length:], 1
        while calls[-length * (times + 1) : -length * times] == cycle:
            times += 1
        most = max(most, times)
    return most


class Calls:
    """What is remembered of the calls; only while they are watched, nothing of it is stored.

    Attributes:
        repeats: how often the last ones came in a row.
        renewed_s: when one came that was not among those before it, on the run's clock; None: none was seen.
    """

    __slots__ = ("_gaps_s", "_last_s", "renewed_s", "repeats")

    def __init__(self) -> None:
        self.repeats = 0
        self.renewed_s: float | None = None
        self._last_s: float | None = None
        self._gaps_s: deque[float] = deque(maxlen=PACES)

    def follow(self, old: Sequence[str], new: Sequence[str], clock_s: float) -> None:
        """Take the calls as they are now, and as they were before, oldest first."""
        if new == old:
            return
        self.repeats = repeats(new)
        if self._last_s is not None:
            self._gaps_s.append(clock_s - self._last_s)
        self._last_s = clock_s
        if new and new[-1] not in old:
            self.renewed_s = clock_s

    @property
    def pace_s(self) -> float | None:
        """The usual time from one call to the next; None while it is not known."""
        return median(self._gaps_s) if len(self._gaps_s) >= FEWEST_PACES else None
