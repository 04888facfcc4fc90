"""One counter that was seen in a task's output, and whether it is to be believed.

A counter that grows is progress; a number that rises and falls is a measurement. What a format does not make
certain must therefore grow, and over some time: a table that is printed at once may grow from line to line, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from claudine_mcp.core.progress.reading import Reading

SPREAD_S: Final = 1.0
"""What only likely is progress must have grown for so long: longer than a table takes to print."""
FALLS: Final = 2
"""What is only likely may fall so often; more, unless it grows four times as often, and it is a measurement."""
RESTART_SHARE: Final = 0.25
"""Who falls by so much of the whole has begun anew. Parallel jobs whose lines swap fall by less."""
RESTART_SHARE_WHEN_COMPLETE: Final = 0.05
SWAP_SHARE, SWAP_ITEMS = 0.05, 2
"""A count that falls by no more than that is no measurement."""
_SAME_PHASE: Final = 3  # lines in a row with other words, until that is another phase


@dataclass(slots=True)
class Counter:
    """A counter. Orders are numbers of readings.

    Attributes:
        source: which format.
        name: which of that format's counters.
        needs: how many growing values it takes until it is believed.
        value: the highest that was read since it began; of steps, the one that has begun.
        total: of how much.
        grown: how many growing values there were.
        begun_at: when it was first read; in the reader's clock.
        grown_at: when it last grew.
        falls: how often it fell without having begun anew.
        restarts: how often it has begun anew.
        first: when it was first read, as an order.
        last: when it was last read.
        advanced: when it last grew or began anew.
        began: when it began, the last time.
        began_before: when it began the time before that.
        phase: what is being done, by it.
        next_phase: what its last lines have said instead, so many in a row (`next_phase_seen`).
        is_own: of a counter within steps: whether it is known to count each step from its beginning (True), or
            all of them (False).
    """

    source: str
    name: str
    needs: int
    value: float
    total: float
    begun_at: float
    grown_at: float
    first: int
    last: int
    advanced: int
    phase: str | None = None
    next_phase: str | None = None
    next_phase_seen: int = 0
    is_percent: bool = False
    is_steps: bool = False
    is_part: bool = False
    is_shared: bool = False
    is_own: bool | None = None
    grown: int = 1
    falls: int = 0
    restarts: int = 0
    began: int = 0
    began_before: int = 0

    @classmethod
    def of(cls, reading: Reading, at: float, order: int) -> Counter:
        """Make a counter of its first reading."""
        row = reading.format
        return cls(
            row.source,
            reading.name,
            reading.needs,
            reading.value,
            reading.total,
            at,
            at,
            order,
            order,
            order,
            phase=reading.phase,
            is_percent=reading.is_percent,
            is_steps=reading.is_steps,
            is_part=row.is_part,
            is_shared=row.is_shared,
            began=order,
            began_before=order,
        )

    @property
    def is_believed(self) -> bool:
        """Whether it is progress, as far as one can tell."""
        if self.needs == 1:
            return True
        is_steady = self.falls < FALLS or 4 * self.falls <= self.grown
        return is_steady and self.grown >= self.needs and self.grown_at - self.begun_at >= SPREAD_S

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to count. The last step may still be going on."""
        return self.value >= self.total and not self.is_steps

    @property
    def done(self) -> float:
        """How much is certainly complete."""
        return max(self.value - 1, 0.0) if self.is_steps else self.value

    @property
    def share(self) -> float:
        """The same of the whole, 0 to 1."""
        return self.done / self.total

    def read(self, reading: Reading, at: float, order: int) -> None:
        """Take another reading."""
        self.needs = min(self.needs, reading.needs)
        self.last = order
        self._read_phase(reading.phase)
        if reading.value >= self.value:
            if reading.value > self.value:
                self.value, self.grown_at, self.advanced = reading.value, at, order
                self.grown += 1
        elif self._begins_anew(reading):
            if not self.is_believed:  # a table that is printed again and again is one each time
                self.grown, self.begun_at = 1, at
            self.value = reading.value
            self.restarts += 1
            self.began_before, self.began = self.began, order
            self.advanced = order
            self.phase = reading.phase or self.phase
        else:
            self.falls += not self._may_have_swapped(reading)
            return
        self.total, self.is_percent, self.is_steps = reading.total, reading.is_percent, reading.is_steps

    def _begins_anew(self, reading: Reading) -> bool:
        if reading.is_percent != self.is_percent:
            return True
        if reading.total != self.total:
            return self.is_steps or not self._may_have_swapped(reading)
        fall = (self.value - reading.value) / self.total
        return fall >= (RESTART_SHARE_WHEN_COMPLETE if self.value >= self.total else RESTART_SHARE)

    def _may_have_swapped(self, reading: Reading) -> bool:
        """Whether a count has only fallen because jobs side by side do not end in their order."""
        fall = self.value - reading.value
        return not reading.is_percent and fall <= max(SWAP_SHARE * self.total, SWAP_ITEMS)

    def _read_phase(self, phase: str | None) -> None:
        """Take the phase of a line; jobs side by side alternate, so that others are one only when they stay."""
        if phase is None or phase == self.phase:
            self.next_phase_seen = 0
            return
        self.next_phase_seen = self.next_phase_seen + 1 if phase == self.next_phase else 1
        self.next_phase = phase
        if self.phase is None or self.is_steps or self.next_phase_seen >= _SAME_PHASE:
            self.phase, self.next_phase_seen = phase, 0
