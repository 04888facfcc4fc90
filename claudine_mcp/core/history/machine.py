"""What is remembered of the machine: whether its memory runs out, and how soon."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Final, NamedTuple

from claudine_mcp.core.history.marks import MARK_S, MARKS
from claudine_mcp.core.samples import SystemSample

LARGEST_FALL: Final = 0.5
MOST_RESTS: Final = 1
REST: Final = 0.2
"""Memory that runs out falls steadily: not for the most part at once, and all but once in a minute's six marks by more
than this share of the mean."""

TROUGH: Final = 0.05
RECOVERED: Final = 0.5
TROUGHS: Final = 8
REMEMBERED_S: Final = 7200.0
NEW_LOW: Final = 0.95
"""The machine has come back from a trough if it had fallen by that share of its memory, and has risen again by half of
what it fell. Down to where it was lately, or a little lower, a fall is nothing new."""


class SystemMark(NamedTuple):
    """Ten seconds of the machine."""

    clock_s: float
    available_bytes: int
    disk_free_bytes: int


class MachineHistory:
    """The machine, sample by sample. `clock_s` stands while nobody looks.

    Attributes:
        sample: the newest; None before the first.
        marks: of the last minute without an interruption, oldest first.
        exhausted_in_s: when available memory is used up if it goes on as in the last minute; None: it does not.
    """

    __slots__ = ("_high", "_low", "_troughs", "at", "clock_s", "exhausted_in_s", "marks", "sample")

    def __init__(self) -> None:
        self.sample: SystemSample | None = None
        self.at = self.clock_s = 0.0
        self.marks: deque[SystemMark] = deque(maxlen=MARKS)
        self.exhausted_in_s: float | None = None
        self._high = self._low = 0
        self._troughs: deque[tuple[float, int]] = deque(maxlen=TROUGHS)

    def fold(self, sample: SystemSample, step_s: float) -> None:
        """Take the sample of a tick; what is longer than `step_s` is a pause of whoever takes them."""
        passed_s = 0.0 if self.sample is None else max(0.0, sample.at - self.at)
        self.sample, self.at = sample, sample.at
        self.clock_s += min(passed_s, step_s)
        if passed_s > step_s:
            self.marks.clear()
        self._low = min(self._low, sample.available_bytes)
        if not self.marks or self.clock_s - self.marks[-1].clock_s >= MARK_S:
            self.marks.append(SystemMark(self.clock_s, sample.available_bytes, sample.disk_free_bytes))
            self.exhausted_in_s = self._exhausted_in_s()
            self._follow_troughs(sample)

    def is_below_its_habit(self) -> bool:
        """Whether less is available than at any time lately from which the machine has recovered by itself."""
        if self.sample is None:
            return False
        available = self.sample.available_bytes
        return all(
            available < NEW_LOW * low for at_s, low in self._troughs if self.clock_s - at_s <= REMEMBERED_S
        )

    def _follow_troughs(self, sample: SystemSample) -> None:
        available, fall = sample.available_bytes, self._high - self._low
        is_back = fall >= TROUGH * sample.total_bytes and available - self._low >= RECOVERED * fall
        if is_back:
            self._troughs.append((self.clock_s, self._low))
        if is_back or available > self._high:
            self._high = self._low = available

    def fall_rate(self) -> float:
        """Give the bytes a second by which available memory fell over the last minute; 0 if too little is known."""
        if len(self.marks) < MARKS:
            return 0.0
        first, last = self.marks[0], self.marks[-1]
        return (first.available_bytes - last.available_bytes) / (last.clock_s - first.clock_s)

    def disk_fall_rate(self) -> float:
        """Give the same of the disk."""
        if len(self.marks) < MARKS:
            return 0.0
        first, last = self.marks[0], self.marks[-1]
        return (first.disk_free_bytes - last.disk_free_bytes) / (last.clock_s - first.clock_s)

    def _exhausted_in_s(self) -> float | None:
        rate = self.fall_rate()
        if rate <= 0:
            return None
        falls = [sooner.available_bytes - later.available_bytes for sooner, later in pairwise(self.marks)]
        least = REST * sum(falls) / len(falls)
        rests = sum(fall < least for fall in falls)
        if rests > MOST_RESTS or falls[-1] < least or max(falls) > LARGEST_FALL * sum(falls):
            return None
        return self.marks[-1].available_bytes / rate
