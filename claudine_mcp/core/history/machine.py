"""What is remembered of the machine: whether its memory runs out, and how soon."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Final, NamedTuple

from claudine_mcp.core.history.marks import MARK_S, MARKS
from claudine_mcp.core.samples import SystemSample

LARGEST_FALL: Final = 0.5
MOST_RISES: Final = 1
"""Memory that runs out falls steadily: not for the most part at once, and all but once in a minute's six marks."""


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

    __slots__ = ("at", "clock_s", "exhausted_in_s", "marks", "sample")

    def __init__(self) -> None:
        self.sample: SystemSample | None = None
        self.at = self.clock_s = 0.0
        self.marks: deque[SystemMark] = deque(maxlen=MARKS)
        self.exhausted_in_s: float | None = None

    def fold(self, sample: SystemSample, step_s: float) -> None:
        """Take the sample of a tick; what is longer than `step_s` is a pause of whoever takes them."""
        passed_s = 0.0 if self.sample is None else max(0.0, sample.at - self.at)
        self.sample, self.at = sample, sample.at
        self.clock_s += min(passed_s, step_s)
        if passed_s > step_s:
            self.marks.clear()
        if not self.marks or self.clock_s - self.marks[-1].clock_s >= MARK_S:
            self.marks.append(SystemMark(self.clock_s, sample.available_bytes, sample.disk_free_bytes))
            self.exhausted_in_s = self._exhausted_in_s()

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
        rises = sum(fall <= 0 for fall in falls)
        if rises > MOST_RISES or falls[-1] <= 0 or max(falls) > LARGEST_FALL * sum(falls):
            return None
        return self.marks[-1].available_bytes / rate
