"""How many tasks may be active at once."""

from __future__ import annotations

from collections.abc import Sequence

from claudine_mcp.core.admission.claims import Kept
from claudine_mcp.core.admission.model import Active, Caps, Waiting
from claudine_mcp.core.models import JSON, Priority


class Slots:
    """Counts active tasks against the caps.

    Args:
        caps: in force now.
        active: all tasks with processes.
    """

    def __init__(self, caps: Caps, active: Sequence[Active]) -> None:
        self._caps = caps
        running = [task for task in active if not task.is_suspended]
        self.busy = len(running)
        self._suspended = len(active) - len(running)
        self._below_p0 = sum(task.priority is not Priority.P0 for task in running)
        self._returning: list[Waiting] = []

    def hold(self, task: Waiting, rank: int, kept: Kept) -> JSON | None:
        """Give the rule by which there is no slot for a task; None: there is one."""
        caps, total = self._caps, self.busy + self._suspended - task.is_stopped
        most = self.most_busy(task, rank)
        if self._returning and self._gives_way(total, most):
            return {"rule": "displaced", "taskId": self._returning[0].id}
        if total >= caps.hard:
            return {"rule": "hardCap", "cap": caps.hard, "active": total}
        if self.busy >= most:
            hold: JSON = {"rule": "softCap", "cap": caps.soft, "active": self.busy}
            if caps.configured is not None and caps.configured != caps.soft:
                hold["configured"] = caps.configured
            return hold
        if self.busy + kept.slots >= most:
            return {"rule": "reserved", "reservationIds": list(kept.ids), "slots": kept.slots}
        return None

    def most_busy(self, task: Waiting, rank: int) -> int:
        """Give how many may be active, and not suspended, together with this task.

        P0 passes the soft cap. A task that has aged to P0's rank passes it while only P0 runs: or else P0 that never
        comes to an end would keep it waiting for ever.
        """
        hard = self._caps.hard - self._suspended + task.is_stopped
        is_passing = task.priority is Priority.P0 or (rank == Priority.P0 and not self._below_p0)
        return hard if is_passing else min(self._caps.soft, hard)

    def _gives_way(self, total: int, most: int) -> bool:
        """Whether a task would have a slot, were it not for displaced ones that go on before it."""
        new = sum(not task.is_stopped for task in self._returning)
        has_slot = total < self._caps.hard and self.busy < most
        return not has_slot and total - new < self._caps.hard and self.busy - len(self._returning) < most

    def take(self, task: Waiting, *, is_displaced: bool = False) -> None:
        """Count a task that starts, or goes on, now."""
        if is_displaced:
            self._returning.append(task)
        self._suspended -= task.is_stopped
        self.busy += 1
        self._below_p0 += task.priority is not Priority.P0
