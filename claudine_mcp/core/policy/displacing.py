"""Priorities in motion: what is less important is stopped for what waits, and goes on by itself. Pure.

Whether that lets a task start, and when there is room again, is what admission itself says of it. What is displaced
stands in line like what is queued, so that the two never both take the same room.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from claudine_mcp.core.admission import Active, Decisions, Situation, Waiting, describe_hold
from claudine_mcp.core.admission import decide as admit
from claudine_mcp.core.admission.line import order, rank
from claudine_mcp.core.admission.model import Machine
from claudine_mcp.core.admission.walk import CPU_PRESSURE
from claudine_mcp.core.demand import Need
from claudine_mcp.core.fields import Level
from claudine_mcp.core.models import JSON, Priority
from claudine_mcp.core.policy.course import POLICY, follow
from claudine_mcp.core.policy.decide import USUAL, Decided, first_to_be_stopped
from claudine_mcp.core.policy.model import Action, Cause, Condition, Decision, Pace, Standing
from claudine_mcp.core.policy.state import Phase, Record, State

MENDED: Final = frozenset({"cpu", "memory", "available", "protective"})
"""Rules that may hold a task no longer when another one stands still, or has given its memory back."""
HELPED: Final = 4
"""So many of the tasks that wait are tried to be helped at a time: as many as admission promises a time."""
CANDIDATES: Final = 16
"""So many of those that could be stopped are looked at: each costs a decision of admission."""
_UNDER_WAY: Final = frozenset({Phase.STOPPING, Phase.HIBERNATING})
_ANOTHER: Final = Active("", need=Need(0.0, 0.0, 0.0), memory_bytes=0)
"""Takes nothing, and runs: that one task may always run is no reason to stop what runs."""

Chosen = Mapping[str, Action]


def is_pressing(task: Waiting, hold: JSON) -> bool:
    """Whether something less important might be stopped so that this task can start."""
    return task.priority < Priority.P2 and hold["rule"] in MENDED


def displace(
    state: State, now: float, tasks: Collection[Standing], queue: Situation, pace: Pace = USUAL
) -> Decided:
    """Decide what is stopped for a more important task, or which one of those goes on; never both at once.

    Args:
        state: what was remembered of the last decision that was carried out; it is not changed.
        now: seconds of the machine's monotonic clock.
        tasks: all that run or are stopped, of all levels.
        queue: what admission would decide by at this moment.
        pace: how fast.
    """
    turn = _Turn(state.copy(), now, tasks, queue, pace)
    return Decided(turn.take(), turn.state)


class _Turn:
    """One look. `state` is changed as if all that is decided had been done."""

    def __init__(
        self, state: State, now: float, tasks: Collection[Standing], queue: Situation, pace: Pace
    ) -> None:
        self.state = state
        self._now = now
        self._tasks = {task.task_id: task for task in tasks}
        self._queue = queue
        self._is_something_running = any(not task.is_suspended for task in queue.active)
        self._pace = pace
        self._decisions: list[Decision] = []

    def take(self) -> list[Decision]:
        settled = follow(self.state, self._now, self._tasks, self._pace)
        self._decisions += [Decision(Action.SETTLED, Cause.LIMIT, task_id) for task_id in settled]
        if not any(record.phase in _UNDER_WAY for record in self.state.records.values()):
            answer = admit(self._queue)
            _ = self._give_back(answer) or self._press(answer)
        return self._decisions

    # -- going on ---------------------------------------------------------------------------------------

    def _give_back(self, answer: Decisions) -> bool:
        """Let one go on for which there has been room for long enough, the first in line."""
        remembered = self.state.displacing
        ready = [task_id for task_id in answer.go_on if self._may_go_on(task_id)]
        if not ready:
            remembered.room_since = None
            return False
        if remembered.room_since is None:
            remembered.room_since = self._now
        if self._is_something_running and self._now - remembered.room_since < self._dwell_s(ready[0]):
            return False
        record, task = self.state.record(ready[0]), self._tasks[ready[0]]
        record.phase, record.returned_at = Phase.RESUMING, self._now
        remembered.returned_at, remembered.room_since = self._now, None
        known = {each.id for each in (*self._queue.active, *self._queue.waiting)}
        is_over = task.displaced_for not in known
        self._decide(Action.RESUME, task, {"for": task.displaced_for, "isOver": is_over})
        return True

    def _may_go_on(self, task_id: str) -> bool:
        """Whether it is ours to let go on, and processors would not be short again at once."""
        record = self.state.records.get(task_id)
        if task_id not in self._tasks or record is None:
            return False
        if record.phase is not Phase.STOPPED or record.cause is not Cause.PRIORITY:
            return False
        is_due = not self._is_something_running or self._has_aged(task_id)
        return is_due or self._is_calm_with(record.load)

    def _is_calm_with(self, load: float) -> bool:
        """Whether so many more runnable processes would leave processors as admission wants them."""
        machine, most = self._queue.machine, self._queue.max_load
        if machine is None or most is None:
            return True
        is_calm = machine.cpu_pressure is not None and 2 * machine.cpu_pressure < CPU_PRESSURE
        return is_calm or machine.load + load <= most * machine.processors

    def _has_aged(self, task_id: str) -> bool:
        """Whether it counts as more important by now: then it has to wait no longer than what is queued."""
        task = next(each for each in self._queue.displaced if each.id == task_id)
        return rank(task, self._queue.now, self._queue.ageing_s) < task.priority

    def _dwell_s(self, task_id: str) -> float:
        """Give how long there must have been room: little for what has aged, so that back-off starves nothing."""
        if self._has_aged(task_id):
            return self._pace.between_s
        known = self.state.displacing.dwell_s
        return self._pace.resume_dwell_s if known is None else known

    # -- stopping ---------------------------------------------------------------------------------------

    def _press(self, answer: Decisions) -> None:
        """Stop what is needed for the first of those that wait whom that helps."""
        remembered, queue = self.state.displacing, self._queue
        line = sorted(queue.waiting, key=lambda task: order(task, queue.now, queue.ageing_s))
        places = [
            place
            for place, task in enumerate(line)
            if task.id in answer.hold and is_pressing(task, answer.hold[task.id])
        ]
        if not places:
            remembered.pressed_since = None
        elif remembered.pressed_since is None:
            remembered.pressed_since = self._now
        elif self._now - remembered.pressed_since >= self._pace.dwell_s and queue.machine is not None:
            for place in places[:HELPED]:
                hold = answer.hold[line[place].id]
                is_time = self._is_seen_what_was_done(hold)
                if is_time and (chosen := self._choose(line[: place + 1], hold, queue.machine)):
                    self._stop(chosen, line[place], hold)
                    return

    def _is_seen_what_was_done(self, hold: JSON) -> bool:
        """Whether the machine shows what was stopped last."""
        displaced_at, stopped_at = self.state.displacing.acted_at, self.state.acted_at
        wait_s = self._pace.load_s if hold["rule"] == "cpu" else self._pace.between_s
        return (displaced_at is None or self._now - displaced_at >= wait_s) and (
            stopped_at is None or self._now - stopped_at >= self._pace.between_s
        )

    def _choose(self, line: Sequence[Waiting], hold: JSON, machine: Machine) -> Chosen:
        """Give the fewest that must be stopped, and how; the least important alone where they are enough."""
        task = line[-1]
        candidates = self._candidates(task)

        def helps(chosen: Chosen) -> bool:
            return task.id in admit(self._after(chosen, line, machine)).admit

        def gain(each: Standing) -> tuple[float, str]:
            what = each.cpu if hold["rule"] == "cpu" else float(each.memory_bytes)
            return (-what, each.task_id)

        for least in (Priority.P2, Priority.P1):
            pool = [each for each in candidates if each.priority >= least][:CANDIDATES]
            if pool and (found := _fewest(pool, helps, gain)):
                return found
        return {}

    def _candidates(self, task: Waiting) -> list[Standing]:
        """Give what may be stopped for a task, the first to be stopped first."""
        queue = self._queue
        in_front = {
            each.id
            for each in queue.displaced
            if order(each, queue.now, queue.ageing_s) < order(task, queue.now, queue.ageing_s)
        }
        waited_for = {
            item.task_id
            for each in queue.waiting
            if each.priority <= task.priority
            for item in each.depends_on
        }
        active = {each.id for each in queue.active}
        found = [
            each
            for each in self._tasks.values()
            if each.task_id in active - in_front - waited_for
            and _may_be_displaced(each, task)
            and self._is_ours_to_stop(each)
        ]
        return sorted(found, key=lambda each: (-each.priority, each.is_running, *first_to_be_stopped(each)))

    def _is_ours_to_stop(self, task: Standing) -> bool:
        record = self.state.records.get(task.task_id) or Record()
        times = (record.returned_at, record.refused_at)
        if Cause.PRIORITY in record.allowed:
            return False
        if any(at is not None and self._now - at < self._pace.resume_dwell_s for at in times):
            return False
        if task.is_running:
            return True
        # What is stopped already can still give its memory back.
        is_held = record.phase is Phase.STOPPED and record.cause in {Cause.MACHINE, Cause.PRIORITY}
        is_ours = task.condition is Condition.SUSPENDED and task.stopped_by == POLICY and is_held
        return is_ours and task.may_hibernate and not record.is_awake

    def _after(self, chosen: Chosen, line: Sequence[Waiting], machine: Machine) -> Situation:
        """Give what admission would go by if these were stopped."""
        queue = self._queue
        freed = sum(self._tasks[each].memory_bytes for each, how in chosen.items() if how is Action.HIBERNATE)
        relieved = sum(self._load_of(self._tasks[each]) for each in chosen)
        available = machine.available_bytes + freed
        active = [
            replace(each, is_suspended=True) if each.id in chosen else each
            for each in queue.active
            if chosen.get(each.id) is not Action.HIBERNATE
        ]
        memory, least = queue.memory, self._least_held(chosen)
        if available >= machine.reserve_bytes and (least is None or line[-1].priority < least):
            memory = None
        return replace(
            queue,
            waiting=line,
            active=[*active, _ANOTHER],
            displaced=[each for each in queue.displaced if each.id not in chosen],
            caps=replace(queue.caps, soft=queue.caps.soft + 1, hard=queue.caps.hard + 1),
            machine=replace(machine, available_bytes=available, load=max(0.0, machine.load - relieved)),
            memory=memory,
        )

    def _least_held(self, chosen: Chosen) -> Priority | None:
        """Give the priority of the most important one that memory holds besides these; None: there is none."""
        held = [
            self._tasks[task_id].priority
            for task_id, record in self.state.records.items()
            if record.is_held and task_id not in chosen
        ]
        return min(held, default=None)

    def _load_of(self, task: Standing) -> float:
        """Give the runnable processes that a task accounts for: more than it uses where each has a share only."""
        machine = self._queue.machine
        if machine is None or not task.is_running:
            return 0.0
        return task.cpu * max(1.0, machine.load / machine.processors)

    def _stop(self, chosen: Chosen, task: Waiting, hold: JSON) -> None:
        remembered, pace = self.state.displacing, self._pace
        if remembered.returned_at is not None and self._now - remembered.returned_at < pace.relapse_s:
            dwell_s = pace.resume_dwell_s if remembered.dwell_s is None else remembered.dwell_s
            remembered.dwell_s = min(2 * dwell_s, pace.relapse_s)
        else:
            remembered.dwell_s = None
        remembered.returned_at = remembered.pressed_since = remembered.room_since = None
        remembered.acted_at = self._now
        for task_id, action in chosen.items():
            victim, record = self._tasks[task_id], self.state.record(task_id)
            record.cause, record.leak, record.load = Cause.PRIORITY, victim.leak, self._load_of(victim)
            record.phase = Phase.STOPPING if action is Action.SUSPEND else Phase.HIBERNATING
            record.trial_since, record.size_bytes = None, victim.memory_bytes
            data: JSON = {
                "for": task.id,
                "forPriority": task.priority.name,
                "priority": victim.priority.name,
                "why": describe_hold(hold),
            }
            self._decide(action, victim, data)

    def _decide(self, action: Action, task: Standing, data: JSON) -> None:
        self._decisions.append(Decision(action, Cause.PRIORITY, task.task_id, data))


def _may_be_displaced(task: Standing, by: Waiting) -> bool:
    """Never an equal; at `active` only what is least important, and nothing at `passive`."""
    if task.priority <= by.priority:
        return False
    return task.level is Level.PROTECTIVE or (task.level is Level.ACTIVE and task.priority is Priority.P2)


def _ways(task: Standing) -> list[Action]:
    """Give how a task can be stopped, the gentler way first."""
    ways = [Action.SUSPEND] if task.is_running else []
    return [*ways, Action.HIBERNATE] if task.may_hibernate else ways


def _fewest(
    pool: Sequence[Standing], helps: Callable[[Chosen], bool], gain: Callable[[Standing], tuple[float, str]]
) -> Chosen:
    """Give as few as are enough, each stopped no harder than needed; nothing if all of them are not enough."""
    hardest = {each.task_id: _ways(each)[-1] for each in pool}
    if not helps(hardest):
        return {}
    for each in pool:
        for way in _ways(each):
            if helps({each.task_id: way}):
                return {each.task_id: way}
    chosen: dict[str, Action] = {}
    for each in sorted(pool, key=gain):
        chosen[each.task_id] = hardest[each.task_id]
        if helps(chosen):
            break
    return _no_more_than_needed(chosen, pool, helps)


def _no_more_than_needed(enough: Chosen, pool: Sequence[Standing], helps: Callable[[Chosen], bool]) -> Chosen:
    """Leave out what is not needed, and let each be stopped as gently as is enough."""
    chosen = enough
    for task_id in enough:
        rest = {each: way for each, way in chosen.items() if each != task_id}
        if helps(rest):
            chosen = rest
    for each in pool:
        if each.task_id in chosen and each.is_running:
            gentler = {**chosen, each.task_id: Action.SUSPEND}
            if helps(gentler):
                chosen = gentler
    return chosen
