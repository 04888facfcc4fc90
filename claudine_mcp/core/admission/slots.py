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

    def hold(self, task: Waiting, rank: int, kept: Kept) -> JSON | None:
        """Give the rule by which there is no slot for a task; None: there is one."""
        caps, total = self._caps, self.busy + self._suspended
        if total >= caps.hard:
            return {"rule": "hardCap", "cap": caps.hard, "active": total}
        most = self.most_busy(task, rank)
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
        hard = self._caps.hard - self._suspended
        is_passing = task.priority is Priority.P0 or (rank == Priority.P0 and not self._below_p0)
        return hard if is_passing else min(self._caps.soft, hard)

    def take(self, task: Waiting) -> None:
        """Count a task that starts now."""
        self.busy += 1
        self._below_p0 += task.priority is not Priority.P0
