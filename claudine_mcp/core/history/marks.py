"""A run's last minutes, in marks of ten seconds: enough for a slope, a rate, and for whether it stirs."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Final, NamedTuple

MARK_S: Final = 10.0
MARKS: Final = 7
"""A minute, with both ends."""
MINUTE_S: Final = 60.0
MINUTES: Final = 5
SAME_PACE: Final = 2.0

LARGEST_RISE: Final = 0.5
REST: Final = 0.2
MOST_RESTS: Final = 1
"""What grows evenly does so in all marks but one by more than that share of the mean, and in none by more than half."""

STIR_BYTES: Final = 16_000_000
STIR: Final = 0.05
"""What memory must move by, in bytes and as a share, to be a sign of work."""
WORK_BYTES: Final = 1_000_000
"""What is read or written within a mark if the disk is worked with."""


class Mark(NamedTuple):
    """Ten seconds. Bytes read and written are counters, memory is a mean."""

    clock_s: float
    memory_bytes: float
    read_bytes: int
    written_bytes: int


class Processes(NamedTuple):
    """How many live, and how many have begun: one after the other, they are always as many."""

    alive: int
    started: int | None


class Minute(NamedTuple):
    """Bytes a second, over a minute."""

    read_rate: float
    written_rate: float


class Marks:
    """The last marks of one run. Moments (`_s`) are on the run's clock.

    Args:
        first_s: when the first mark is due, so that not all runs have theirs in one tick.

    Attributes:
        recent, minutes: the last ones without an interruption, oldest first.
        steady_rate: bytes a second that were written in each of the last five minutes, 0 before there are five.
        stirred_s: when it last looked busy with something: processes came or went, memory moved, files were read.
        wrote_s: when it last wrote in earnest.
        writing_s: for how long it has been writing at about the pace of the last minute, none of which was twice the
            one before or half of it.
    """

    __slots__ = (
        "_count",
        "_due_s",
        "_memory",
        "_minute",
        "_processes",
        "_sum",
        "minutes",
        "recent",
        "steady_rate",
        "stirred_s",
        "writing_s",
        "wrote_s",
    )

    def __init__(self, first_s: float = 0.0) -> None:
        self.recent: deque[Mark] = deque(maxlen=MARKS)
        self.minutes: deque[Minute] = deque(maxlen=MINUTES)
        self.steady_rate = self.stirred_s = self.wrote_s = self.writing_s = 0.0
        self._due_s = first_s
        self._sum, self._count = 0.0, 0
        self._minute: Mark | None = None
        self._memory, self._processes = 0.0, Processes(0, None)

    def add(self, clock_s: float, memory: float) -> bool:
        """Take a tick; give whether a mark is due."""
        self._sum += memory
        self._count += 1
        return clock_s >= self._due_s

    def interrupt(self) -> None:
        """Say that time has passed of which nothing is known."""
        self.recent.clear()
        self.minutes.clear()
        self.steady_rate = self.writing_s = 0.0
        self._minute = None

    def close(self, clock_s: float, processes: Processes, read_bytes: int, written_bytes: int) -> Mark:
        """Make a mark of the ticks since the last."""
        mark = Mark(clock_s, self._sum / self._count, read_bytes, written_bytes)
        self._sum, self._count = 0.0, 0
        self._due_s = clock_s + MARK_S
        if self.recent:
            self._look_for_work(self.recent[-1], mark, processes)
        else:
            self._memory, self._processes = mark.memory_bytes, processes
        self.recent.append(mark)
        if self._minute is None:
            self._minute = mark
        elif clock_s - self._minute.clock_s >= MINUTE_S:
            span_s = clock_s - self._minute.clock_s
            read = (read_bytes - self._minute.read_bytes) / span_s
            written = (written_bytes - self._minute.written_bytes) / span_s
            before = self.minutes[-1].written_rate if self.minutes else 0.0
            goes_on = before / SAME_PACE <= written <= before * SAME_PACE
            self.writing_s = self.writing_s + span_s if goes_on else span_s
            self.minutes.append(Minute(read, written))
            if len(self.minutes) == MINUTES:
                self.steady_rate = min(minute.written_rate for minute in self.minutes)
            self._minute = mark
        return mark

    def _look_for_work(self, last: Mark, mark: Mark, processes: Processes) -> None:
        if mark.written_bytes - last.written_bytes >= WORK_BYTES:
            self.wrote_s = mark.clock_s
        if processes != self._processes or mark.read_bytes - last.read_bytes >= WORK_BYTES:
            self._processes = processes
            self.stirred_s = mark.clock_s
        if abs(mark.memory_bytes - self._memory) > max(STIR_BYTES, STIR * self._memory):
            self._memory = mark.memory_bytes
            self.stirred_s = mark.clock_s

    def growth(self, *, least: int = MARKS) -> float:
        """Give the bytes a second by which memory has grown over the last minute; 0 if too little is known.

        Args:
            least: marks that there must be.
        """
        if len(self.recent) < least:
            return 0.0
        first, last = self.recent[0], self.recent[-1]
        return (last.memory_bytes - first.memory_bytes) / (last.clock_s - first.clock_s)

    def steady_growth(self) -> float:
        """Give the bytes a second by which memory has grown evenly over the last minute; 0 if it has not.

        A single step is no such growth: it says nothing of what comes next.
        """
        if len(self.recent) < MARKS:
            return 0.0
        rises = [later.memory_bytes - sooner.memory_bytes for sooner, later in pairwise(self.recent)]
        whole = sum(rises)
        least = REST * whole / len(rises)
        rests = sum(rise < least for rise in rises)
        if whole <= 0 or rests > MOST_RESTS or rises[-1] < least or max(rises) > LARGEST_RISE * whole:
            return 0.0
        return whole / (self.recent[-1].clock_s - self.recent[0].clock_s)

    def disk_bytes(self) -> int:
        """Give what was read and written over the last minute, or the part of it that is known."""
        if not self.recent:
            return 0
        first, last = self.recent[0], self.recent[-1]
        return last.read_bytes + last.written_bytes - first.read_bytes - first.written_bytes
