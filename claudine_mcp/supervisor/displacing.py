"""Priorities in motion: the policy is asked what is stopped for a task that waits, by what admission goes by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from claudine_mcp.core.admission import Situation
from claudine_mcp.core.policy import Cause, Decided, Pace, Standing, State, displace
from claudine_mcp.core.samples import SystemSample
from claudine_mcp.registry.situation import read_situation, standing
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.survey import machine_of


class Displacing:
    """Reads the queue for the policy: not at every tick, since it may be long.

    Args:
        ctx: the supervisor's surroundings.
        pace: of the policy.
    """

    def __init__(self, ctx: Context, pace: Pace) -> None:
        self._ctx = ctx
        self._pace = pace
        self._looked_at: float | None = None

    def is_due(self, state: State, now: float, tasks: Sequence[Standing]) -> bool:
        """Whether something is to be decided: a task presses, or one is stopped for another."""
        is_wanted = self._ctx.is_pressed or any(
            task.displaced_for or state.record(task.task_id).cause is Cause.PRIORITY for task in tasks
        )
        if not is_wanted:
            state.displacing.pressed_since = None
        return is_wanted and (self._looked_at is None or now - self._looked_at >= self._pace.dwell_s)

    async def decide(
        self, state: State, now: float, tasks: Sequence[Standing], system: SystemSample
    ) -> Decided:
        """Decide by the queue as it is now, and a machine that was just looked at."""
        queue = await self._queue(tasks, system)
        self._looked_at = now
        return Decided([], state) if queue is None else displace(state, now, tasks, queue, self._pace)

    async def _queue(self, tasks: Sequence[Standing], system: SystemSample) -> Situation | None:
        """Give what admission would go by now; None: it has never looked at a queue."""
        ctx = self._ctx
        reserve_bytes = ctx.settings.limits.reserve_bytes(system.total_bytes)
        async with ctx.db.read() as tx:
            going_by = await standing(tx)
            if going_by is None:
                return None
            going_by = replace(
                going_by,
                at=ctx.wall(),
                machine=machine_of(system, reserve_bytes, None),
                memory=ctx.memory_hold,
            )
            situation = await read_situation(tx, ctx.settings, ctx.demand, ctx.memory, going_by)
        weighed = {task.task_id: task.memory_bytes for task in tasks if task.memory_bytes}
        active = [
            replace(each, memory_bytes=weighed.get(each.id, each.memory_bytes)) for each in situation.active
        ]
        return replace(situation, active=active)
