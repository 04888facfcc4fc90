"""What the policy is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from claudine_mcp.core.policy import (
    Action,
    Cause,
    Condition,
    Decision,
    Machine,
    Pace,
    Standing,
    State,
    decide,
)


class Nothing:
    """Nobody does anything."""

    def step(self, _now: float, _machine: Machine, _tasks: Sequence[Standing]) -> list[Decision]:
        """Do nothing."""
        return []


class Threshold:
    """One threshold: stop the least important that runs while it is passed, let the most important go on while not."""

    room = 1.0
    dwell_s = 0.0
    hibernates = False

    def __init__(self) -> None:
        self._changed_at = -1e9

    def step(self, now: float, machine: Machine, tasks: Sequence[Standing]) -> list[Decision]:
        """Stop one, or let one go on."""
        if machine.available_bytes < machine.reserve_bytes:
            frozen = [task for task in tasks if task.condition is Condition.SUSPENDED and task.may_hibernate]
            if self.hibernates and frozen:
                return self._change(now, Action.HIBERNATE, max(frozen, key=lambda task: task.memory_bytes))
            running = [task for task in tasks if task.is_running]
            if running:
                return self._change(
                    now, Action.SUSPEND, max(running, key=lambda task: (task.priority, task.growth))
                )
        elif machine.available_bytes >= self.room * machine.reserve_bytes:
            stopped = [task for task in tasks if not task.is_running]
            if stopped and now - self._changed_at >= self.dwell_s:
                return self._change(now, Action.RESUME, min(stopped, key=lambda task: task.priority))
        return []

    def _change(self, now: float, action: Action, task: Standing) -> list[Decision]:
        self._changed_at = now
        return [Decision(action, Cause.MACHINE, task.task_id)]


class Hysteresis(Threshold):
    """Two thresholds, and a minute between a change and what goes on."""

    room = 2.0
    dwell_s = 60.0


class HysteresisHibernating(Hysteresis):
    """Besides, what is stopped and may be is hibernated."""

    hibernates = True


class Policy:
    """What runs in the supervisor."""

    def __init__(self, pace: Pace | None = None) -> None:
        self._state = State()
        self._pace = pace or Pace()

    def step(self, now: float, machine: Machine, tasks: Sequence[Standing]) -> list[Decision]:
        """Decide, and remember."""
        decisions, self._state = decide(self._state, now, machine, tasks, self._pace)
        return decisions
