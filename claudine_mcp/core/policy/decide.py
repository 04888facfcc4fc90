"""The policy itself: one look at everything, and what follows from it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from claudine_mcp.core.fields import Level
from claudine_mcp.core.models import JSON
from claudine_mcp.core.policy.course import follow
from claudine_mcp.core.policy.model import (
    MINUTE_S,
    Action,
    Cause,
    Condition,
    Decision,
    Machine,
    Pace,
    Standing,
)
from claudine_mcp.core.policy.state import Phase, Record, State

USUAL: Final = Pace()
_FOR_MEMORY: Final = frozenset({Cause.MACHINE, Cause.LIMIT})


class Decided(NamedTuple):
    """What is to be done, in this order, and what to remember if it is."""

    decisions: list[Decision]
    state: State


def decide(
    state: State, now: float, machine: Machine, tasks: Collection[Standing], pace: Pace = USUAL
) -> Decided:
    """Decide what protective mode does at this moment; at most one task is stopped, and one goes on.

    Args:
        state: what `decide` gave when its decisions were last carried out; it is not changed.
        now: seconds of the machine's monotonic clock.
        machine: its memory.
        tasks: all that run or are stopped, of all levels: one that is not protective may be what keeps running.
        pace: how fast.
    """
    turn = _Turn(state.copy(), now, machine, tasks, pace)
    return Decided(turn.take(), turn.state)


class _Turn:
    """One look. `state` is changed as if all that is decided had been done."""

    def __init__(
        self, state: State, now: float, machine: Machine, tasks: Collection[Standing], pace: Pace
    ) -> None:
        self.state = state
        self._now = now
        self._machine = machine
        self._tasks = {task.task_id: task for task in tasks}
        self._running = [task for task in tasks if task.is_running]
        self._is_moving = any(task.condition is Condition.MOVING for task in tasks)
        self._pace = pace
        self._decisions: list[Decision] = []

    def take(self) -> list[Decision]:
        settled = follow(self.state, self._now, self._tasks, self._pace)
        self._decisions += [Decision(Action.SETTLED, Cause.LIMIT, task_id) for task_id in settled]
        is_critical = self._look_at_machine()
        self._keep_what_is_deadlocked()
        if self._may_act() and not (is_critical and self._relieve_machine()):
            _ = self._enforce_limit() or self._enforce_timeout()
        is_stuck = not self._continue_overdue() and not self._resume(is_critical=is_critical)
        self._ask(is_stuck=is_stuck, is_critical=is_critical)
        return self._decisions

    def _look_at_machine(self) -> bool:
        """Give whether memory is short; if that is soon after something went on, the next waits longer."""
        state, machine, pace = self.state, self._machine, self._pace
        if machine.available_bytes >= machine.reserve_bytes:
            state.short_since = None
        elif state.short_since is None:
            state.short_since = self._now
        runs_out = machine.exhausted_in_s is not None and machine.exhausted_in_s < pace.exhausted_in_s
        is_short = state.short_since is not None and self._now - state.short_since >= pace.dwell_s
        if state.resumed_at is not None:
            if self._now - state.resumed_at >= pace.relapse_s:
                state.dwell_s = state.resumed_at = None
            elif runs_out or is_short:
                state.dwell_s = min(2 * self._dwell_s(), pace.longest_dwell_s)
                state.resumed_at = None
        return runs_out or is_short

    def _keep_what_is_deadlocked(self) -> None:
        """Make a checkpoint of what hangs, once: it cannot get any further, and may be ended before long."""
        for task in self._protected():
            record = self.state.record(task.task_id)
            if task.is_deadlocked and not record.is_kept:
                record.is_kept = True
                self._decide(Action.CHECKPOINT, Cause.DEADLOCK, task)

    # -- stopping ---------------------------------------------------------------------------------------

    def _may_act(self) -> bool:
        acted_at = self.state.acted_at
        return acted_at is None or self._now - acted_at >= self._pace.between_s

    def _protected(self) -> list[Standing]:
        return [task for task in self._running if task.level is Level.PROTECTIVE]

    def _relieve_machine(self) -> bool:
        """Free the memory of what is stopped and may be hibernated; else stop the next one."""
        willing = [task for task in self._stopped() if self._may_be_hibernated(task)]
        if willing:
            task = max(willing, key=lambda task: (task.priority, task.memory_bytes, task.task_id))
            self._stop(Action.HIBERNATE, Cause.MACHINE, task)
            return True
        for task in sorted(self._protected(), key=first_to_be_stopped):
            is_last = len(self._running) == 1
            if self._was_just_allowed(task) or (is_last and not self._exhausts(task)):
                continue
            self._stop(Action.SUSPEND, Cause.MACHINE, task)
            return True
        return False

    def _may_be_hibernated(self, task: Standing) -> bool:
        is_willing = task.may_hibernate and not self.state.record(task.task_id).is_awake
        return is_willing and task.level is Level.PROTECTIVE and task.condition is Condition.SUSPENDED

    def _was_just_allowed(self, task: Standing) -> bool:
        """Whether the user has let it go on against the policy's will only now."""
        allowed_at = self.state.record(task.task_id).allowed_at
        return allowed_at is not None and self._now - allowed_at < self._pace.trial_s

    def _exhausts(self, task: Standing) -> bool:
        """Whether it grows evenly, and so would use up what is available before long."""
        return task.leak > 0 and task.leak * self._pace.leak_s >= self._available

    def _enforce_limit(self) -> bool:
        """Stop a task that is above its own limit, or was once more when its trial was over."""
        for task in sorted(self._protected(), key=first_to_be_stopped):
            record = self.state.record(task.task_id)
            if record.over_since is None or Cause.LIMIT in record.allowed:
                continue
            if record.trial_since is not None:
                is_over = self._now - record.trial_since >= self._pace.trial_s
            else:
                is_over = self._now - record.over_since >= self._pace.dwell_s
            if is_over:
                self._stop(Action.SUSPEND, Cause.LIMIT, task)
                return True
        return False

    def _enforce_timeout(self) -> bool:
        """Stop a task whose time is over; whether it is to be stopped for that was its submitter's to say."""
        for task in self._running:
            if task.is_overdue and Cause.OVERDUE not in self.state.record(task.task_id).allowed:
                self._stop(Action.SUSPEND, Cause.OVERDUE, task)
                return True
        return False

    def _stop(self, action: Action, cause: Cause, task: Standing) -> None:
        record = self.state.record(task.task_id)
        if action is Action.SUSPEND:  # what is hibernated was stopped for a reason of its own
            record.cause, record.leak = cause, task.leak
        record.phase = Phase.STOPPING if action is Action.SUSPEND else Phase.HIBERNATING
        record.trial_since = None
        record.size_bytes = task.memory_bytes
        self.state.acted_at, self.state.room_since = self._now, None
        self._running = [each for each in self._running if each is not task]
        self._is_moving = True
        self._decide(action, cause, task, {"usage": task.memory_bytes, "bytesPerMinute": _a_minute(task)})

    # -- going on ---------------------------------------------------------------------------------------

    def _stopped(self) -> list[Standing]:
        """Give what the policy has stopped on account of memory, and nobody else has anything to do with."""
        return [
            self._tasks[task_id]
            for task_id, record in self.state.records.items()
            if record.phase is Phase.STOPPED and record.cause in _FOR_MEMORY
        ]

    def _continue_overdue(self) -> bool:
        """Let go on what was given more time."""
        for task_id, record in self.state.records.items():
            task = self._tasks[task_id]
            is_over = record.cause is Cause.OVERDUE and record.phase is Phase.STOPPED
            if is_over and not task.is_overdue:
                self._go_on(task, record, Action.RESUME, Cause.OVERDUE)
                return True
        return False

    def _resume(self, *, is_critical: bool) -> bool:
        """Let one go on for which there is room, or one at all if none runs. Give whether one may, now or soon."""
        stopped = sorted(self._stopped(), key=self._first_to_go_on)
        hopeful = [task for task in stopped if self._has_hope(task)]
        fitting = [] if is_critical else [task for task in hopeful if self._needed(task) <= self._available]
        if not fitting:
            self.state.room_since = None
        elif self.state.room_since is None:
            self.state.room_since = self._now
        if not (self._running or self._is_moving):
            for task in hopeful:
                record = self.state.record(task.task_id)
                if record.trials < self._pace.trials and not self._would_exhaust(task, record):
                    self._go_on(task, record, Action.TRIAL, Cause.ALONE)
                    return True
        if not fitting and self._make_room():
            return True
        if not fitting:
            return bool(self._running or self._is_moving or not stopped)
        if self.state.room_since is not None and self._now - self.state.room_since >= self._dwell_s():
            record = self.state.record(fitting[0].task_id)
            action = Action.TRIAL if record.cause is Cause.LIMIT else Action.RESUME
            self._go_on(fitting[0], record, action, Cause.ROOM)
        return True

    def _make_room(self) -> bool:
        """Free the memory of what is stopped and may be hibernated, if what is stopped has waited in vain."""
        acted_at = self.state.acted_at
        willing = [task for task in self._stopped() if self._may_be_hibernated(task)]
        if not willing or acted_at is None or self._now - acted_at < self._pace.resume_dwell_s:
            return False
        task = max(willing, key=lambda task: (task.memory_bytes, task.task_id))
        self._stop(Action.HIBERNATE, Cause.ROOM, task)
        return True

    @property
    def _available(self) -> int:
        return self._machine.available_bytes

    def _has_hope(self, task: Standing) -> bool:
        """Whether it may go on without the user's word."""
        record = self.state.record(task.task_id)
        return record.cause is Cause.MACHINE or record.trials < self._pace.trials

    def _needed(self, task: Standing) -> float:
        """Give what must be available for it to go on."""
        return self._pace.room * self._machine.reserve_bytes + self._expected(task)

    def _expected(self, task: Standing) -> float:
        """Give what it is expected to take besides: a minute of even growth, and all it took if it was hibernated."""
        record = self.state.record(task.task_id)
        again = record.size_bytes if task.condition is Condition.HIBERNATED else 0
        return again + record.leak * MINUTE_S

    def _would_exhaust(self, task: Standing, record: Record) -> bool:
        again = record.size_bytes if task.condition is Condition.HIBERNATED else 0
        more = again + record.leak * self._pace.leak_s
        return more > 0 and more >= self._available

    def _first_to_go_on(self, task: Standing) -> tuple[int, float, float, str]:
        return (
            task.priority,
            self._expected(task),
            self.state.record(task.task_id).stopped_at,
            task.task_id,
        )

    def _dwell_s(self) -> float:
        return self._pace.resume_dwell_s if self.state.dwell_s is None else self.state.dwell_s

    def _go_on(self, task: Standing, record: Record, action: Action, cause: Cause) -> None:
        record.phase = Phase.RESUMING
        if action is Action.TRIAL:
            record.trials += 1
            record.trial_since = self._now
        self.state.resumed_at, self.state.room_since = self._now, None
        if record.cause is Cause.MACHINE:
            self.state.let_go_on_at = self._now
        self._decide(action, cause, task, {"trial": record.trials} if action is Action.TRIAL else {})

    # -- telling ----------------------------------------------------------------------------------------

    def _ask(self, *, is_stuck: bool, is_critical: bool) -> None:
        """Ask the user about tasks whose trials are used up, and about a machine that nothing more can be done for."""
        state, machine = self.state, self._machine
        for task in self._stopped():
            record = state.record(task.task_id)
            if not self._has_hope(task) and not record.is_asked:
                record.is_asked = True
                self._decide(Action.ASK, Cause.LIMIT, task, {"usage": record.size_bytes})
        is_critical = is_critical and self._may_act()  # what was done last has had its time
        if not (is_stuck or is_critical):
            state.stuck_since = None
            is_well = self._available >= self._pace.well * machine.reserve_bytes
            if state.is_asked and is_well:
                state.is_asked = False
                self._decide(Action.SETTLED, Cause.MACHINE)
        elif state.stuck_since is None:
            state.stuck_since = self._now
        elif not state.is_asked and self._now - state.stuck_since >= self._pace.between_s:
            state.is_asked = True
            self._decide(Action.ASK, Cause.MACHINE)

    def _decide(
        self, action: Action, cause: Cause, task: Standing | None = None, data: JSON | None = None
    ) -> None:
        machine = self._machine
        numbers: JSON = {"available": machine.available_bytes, "reserve": machine.reserve_bytes}
        if machine.exhausted_in_s is not None:
            numbers["exhaustedInSeconds"] = round(machine.exhausted_in_s)
        task_id = None if task is None else task.task_id
        self._decisions.append(Decision(action, cause, task_id, {**numbers, **(data or {})}))


def first_to_be_stopped(task: Standing) -> tuple[bool, int, float, int, str]:
    """The order: what takes more than it may, what matters least, what grows fastest; then the largest."""
    return (not task.is_over_request, -task.priority, -task.growth, -task.memory_bytes, task.task_id)


def _a_minute(task: Standing) -> int:
    return round(MINUTE_S * task.growth)
