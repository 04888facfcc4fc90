"""What protective mode keeps from starting."""

from __future__ import annotations

from collections.abc import Collection

from claudine_mcp.core.admission import MemoryHold
from claudine_mcp.core.policy.model import Machine, Pace, Standing
from claudine_mcp.core.policy.state import State


def memory_hold(
    state: State, now: float, machine: Machine, tasks: Collection[Standing], pace: Pace
) -> MemoryHold | None:
    """Give what holds the queue while what runs already is too much, or has just been let go on; None: nothing does.

    What is more important than all that waits to go on may start as soon as memory is not short any more. What has just
    gone on shows what it takes before anything else does.
    """
    is_shown = state.let_go_on_at is None or now - state.let_go_on_at >= pace.between_s
    if is_shown and not state.is_short_of_memory:
        return None
    hold = {"rule": "protective", "available": machine.available_bytes, "reserve": machine.reserve_bytes}
    records = state.records
    going_on = {task_id for task_id, record in records.items() if record.is_going_on}
    held = [task.priority for task in tasks if task.task_id in records and records[task.task_id].is_held]
    has_room = is_shown and state.short_since is None
    return MemoryHold(hold, going_on, min(held, default=None) if has_room else None)
