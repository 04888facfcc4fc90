"""Who stands before whom."""

from __future__ import annotations

from claudine_mcp.core.admission.model import Waiting
from claudine_mcp.core.models import Priority


def rank(task: Waiting, now: float, ageing_s: float | None) -> int:
    """Give the priority that a task counts as: each `ageing_s` of waiting is one higher, up to P0."""
    if not ageing_s:
        return task.priority
    since = task.queued_at if task.not_before is None else max(task.queued_at, task.not_before)
    return max(Priority.P0, task.priority - int(max(0.0, now - since) // ageing_s))


def order(task: Waiting, now: float, ageing_s: float | None) -> tuple[int, float, int]:
    """The order in which tasks start: priority, aged; then how long they wait; then arrival."""
    return (rank(task, now, ageing_s), task.queued_at, task.seq)
