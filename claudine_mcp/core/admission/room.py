"""Whether a task's memory fits beside what runs: the mean of all demand, and N standard deviations of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from claudine_mcp.core.admission.model import Active, Machine
from claudine_mcp.core.demand import Need
from claudine_mcp.core.models import JSON

OTHER_CLAUDE_DEVIATION_BYTES: Final = 200_000_000
"""By how much a Claude Code that is not ours may grow: the standard deviation that a class without a run of its own
begins with. What it uses already is not available."""
NOW_SHARE: Final = 0.5
"""Of its p90: what must be available at once for a task to start."""


class Load:
    """The summed demand of some tasks: a mean, and a variance, as if they were independent."""

    __slots__ = ("mean", "variance")

    def __init__(self, mean: float = 0.0, variance: float = 0.0) -> None:
        self.mean = mean
        self.variance = variance

    def add(self, mean: float, variance: float) -> None:
        """Take another task's."""
        self.mean += mean
        self.variance += variance

    def at(self, n_sigma: float) -> float:
        """Give the bytes that the demand stays below, at so many standard deviations."""
        return self.mean + n_sigma * math.sqrt(self.variance)


def load_of(task: Active) -> tuple[float, float]:
    """Give mean and variance of what an active task will use.

    That is no less than it uses now; a suspended one stays as large as it is.
    """
    now, need = task.memory_bytes, task.need
    if task.is_suspended and now is not None:
        return float(now), 0.0
    if need is None:
        return float(now or 0), 0.0
    return max(need.mean_bytes, now or 0), 0.0 if task.is_suspended else need.deviation_bytes**2


class Room:
    """The memory that there is for tasks, and what of it is taken.

    capacity = available + what our tasks use now, so that everything else counts as load. A task fits if
    sum(mean) + N * sqrt(sum(variance)) <= capacity - reserve, and if half of its p90 is available above the reserve
    now, besides what those that have just started lack of half of theirs.

    Args:
        machine: as it was seen together with the sizes of `active`.
        active: all tasks with processes.
        n_sigma: N.
    """

    def __init__(self, machine: Machine, active: Iterable[Active], n_sigma: float) -> None:
        self.n_sigma = n_sigma
        self.foreign_variance = float(machine.other_claude * OTHER_CLAUDE_DEVIATION_BYTES**2)
        self.load = Load(variance=self.foreign_variance)
        self.reserve_bytes = machine.reserve_bytes
        self.available_bytes = machine.available_bytes
        self.growing_bytes = 0.0
        used = 0
        for task in active:
            self.load.add(*load_of(task))
            used += task.memory_bytes or 0
            if task.need is not None and not task.is_suspended:
                lacks = NOW_SHARE * task.need.p90_bytes - (task.memory_bytes or 0)
                self.growing_bytes += max(0.0, lacks)
        self.limit_bytes = machine.available_bytes + used - machine.reserve_bytes
        self._count()

    def _count(self) -> None:
        """Keep what all others are asked for: it changes only when a task starts."""
        self._root = math.sqrt(self.load.variance)
        self._free = self.limit_bytes - self.load.at(self.n_sigma)
        self._now = self.available_bytes - self.reserve_bytes - self.growing_bytes

    def added_bytes(self, need: Need) -> float:
        """Give by how much a task raises the demand at N standard deviations."""
        wider = math.sqrt(self.load.variance + need.deviation_bytes**2) - self._root
        return need.mean_bytes + self.n_sigma * wider

    def fits(self, need: Need, reserved_bytes: float = 0.0) -> bool:
        """Whether a task may start where so much is reserved for others."""
        is_there = NOW_SHARE * need.p90_bytes < self._now - reserved_bytes
        return is_there and self.added_bytes(need) <= self._free - reserved_bytes

    def hold(self, need: Need) -> JSON:
        """Give the rule that holds a task that does not fit, with its numbers, rounded so that they show it."""
        free, added = self._free, self.added_bytes(need)
        if added > free:
            return {
                "rule": "memory",
                "needBytes": math.ceil(added),
                "sigma": self.n_sigma,
                "freeBytes": math.floor(free),
                "reserveBytes": self.reserve_bytes,
                "basis": need.basis,
            }
        return {
            "rule": "available",
            "needBytes": math.ceil(NOW_SHARE * need.p90_bytes),
            "availableBytes": self.available_bytes,
            "growingBytes": math.ceil(self.growing_bytes),
            "reserveBytes": self.reserve_bytes,
        }

    def take(self, need: Need) -> None:
        """Count a task that starts now; it uses nothing yet."""
        self.load.add(need.mean_bytes, need.deviation_bytes**2)
        self.growing_bytes += NOW_SHARE * need.p90_bytes
        self._count()
