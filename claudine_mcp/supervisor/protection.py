"""Protective mode: the policy is asked at each tick, and what it decides is written down before it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import anyio.to_thread

from claudine_mcp.core.admission import MemoryHold
from claudine_mcp.core.fields import Level
from claudine_mcp.core.ids import new_id
from claudine_mcp.core.models import JSON, Command, CommandKind
from claudine_mcp.core.policy import (
    Action,
    Cause,
    Condition,
    Decided,
    Decision,
    Machine,
    Pace,
    Standing,
    State,
    decide,
    memory_hold,
)
from claudine_mcp.core.recognition import Recognition
from claudine_mcp.core.rules import RunLimits
from claudine_mcp.core.samples import OtherClaude, SystemSample
from claudine_mcp.core.states import State as TaskState
from claudine_mcp.host.processes import boot_id
from claudine_mcp.host.system import SystemSampler
from claudine_mcp.registry.commands import add_command
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.judgements import judgements, store_judgements
from claudine_mcp.registry.protected import PROTECTION, Protected, protected_tasks
from claudine_mcp.registry.watched import own_settings
from claudine_mcp.supervisor import announce_protection as announce
from claudine_mcp.supervisor.context import Context, Tick
from claudine_mcp.supervisor.diagnosis import Diagnosis
from claudine_mcp.supervisor.displacing import Displacing

STORE_EVERY_S: Final = 30.0
LEAST_MARKS: Final = 3
"""Marks of ten seconds from which a run's growth is worth something when tasks are put in order."""
USUAL: Final = Pace()
_CONDITIONS: Final = {
    TaskState.RUNNING: Condition.RUNNING,
    TaskState.SUSPENDED: Condition.SUSPENDED,
    TaskState.HIBERNATED: Condition.HIBERNATED,
}


class Seen(NamedTuple):
    """What the policy is given."""

    machine: Machine
    tasks: list[Standing]


class Protection:
    """Asks the policy, and makes commands of what it decides.

    Args:
        ctx: the supervisor's surroundings.
        diagnosis: what is known of runs and the machine.
        pace: of the policy.
    """

    def __init__(self, ctx: Context, diagnosis: Diagnosis, pace: Pace = USUAL) -> None:
        self._ctx = ctx
        self._diagnosis = diagnosis
        self._pace = pace
        self._boot_id = boot_id()
        self._system = SystemSampler(ctx.state_dir)
        self._displacing = Displacing(ctx, pace)
        self._state: State | None = None
        self._is_at_ease = False
        self._stored: JSON = {}
        self._alert_id: int | None = None
        self._stored_at = ctx.mono()

    async def judge(self, tick: Tick) -> None:
        """Decide about what one look has shown; where there is nothing to decide, without asking the registry."""
        levels = {limits.level for each in tick.runs if (limits := self._diagnosis.limits_of_run(each))}
        if Level.PROTECTIVE in levels or self._ctx.is_pressed or not self._is_at_ease:
            await self._decide(tick.system)

    async def rest(self) -> None:
        """Decide while nothing runs: what was hibernated may go on."""
        if not self._is_at_ease:
            await self._decide(None)

    async def _decide(self, system: SystemSample | None) -> None:
        async with self._ctx.db.read() as tx:
            rows = await protected_tasks(tx)
            own = await own_settings(tx)
            state = self._state or await self._recall(tx)
        going_on = {each for each, record in state.records.items() if record.is_going_on}
        rows = [row for row in rows if row.state is not TaskState.QUEUED or row.task_id in going_on]
        limits = {row.task_id: self._limits(row, own.get(row.task_id, {})) for row in rows}
        displaced = {row.task_id for row in rows if row.displaced_for}
        is_needed = any(
            limits[row.task_id].level is Level.PROTECTIVE
            or ((row.stopped or {}).get("by") == "policy" and row.task_id not in displaced)
            for row in rows
        )
        if not (is_needed or displaced or going_on or self._ctx.is_pressed):
            await self._let_be(state)
            return
        self._is_at_ease = False
        system = system or await self._look()
        seen = self._seen(rows, limits, system)
        now = self._ctx.mono()
        decided = Decided(self._settled(), state.at_ease())
        if is_needed:
            decided = decide(state, now, seen.machine, seen.tasks, self._pace)
            if stops := _stops(decided):
                seen = await self._measured_again(seen, rows, stops)
                decided = decide(state, now, seen.machine, seen.tasks, self._pace)
        is_idle = not any(item.action in announce.KINDS for item in decided.decisions)
        if is_idle and self._displacing.is_due(decided.state, now, seen.tasks):
            more = await self._displacing.decide(decided.state, now, seen.tasks, system)
            if stops := _stops(more):
                seen = await self._measured_again(seen, rows, stops)
                fresh = replace(system, available_bytes=seen.machine.available_bytes)
                more = await self._displacing.decide(decided.state, now, seen.tasks, fresh)
            decided = Decided([*decided.decisions, *more.decisions], more.state)
        await self._write(decided.decisions, decided.state, rows, seen)

    def _settled(self) -> list[Decision]:
        """Give what there is to be said where nothing is protective any more."""
        return [] if self._alert_id is None else [Decision(Action.SETTLED, Cause.MACHINE)]

    async def _recall(self, tx: Transaction) -> State:
        """Go on from what the supervisor before this one has decided."""
        self._stored = (await judgements(tx, self._boot_id)).get(PROTECTION, {})
        self._alert_id = self._stored.get("alertId")
        return State.of(self._stored.get("policy"))

    async def _let_be(self, state: State) -> None:
        """Nothing is protective, and nothing is stopped: there is nothing to remember."""
        left = state.at_ease()
        if state != left or self._alert_id is not None:
            async with self._ctx.db.write() as tx:
                if self._alert_id is not None:
                    await add_event(tx, announce.system_settled(self._alert_id, self._ctx.wall()))
                await self._store(tx, left, None)
        self._hold(None)
        self._state, self._is_at_ease = left, True

    def _limits(self, row: Protected, own: Mapping[str, Any]) -> RunLimits:
        return self._diagnosis.limits_of_run(row.run_id) or RunLimits.of(
            self._ctx.settings, {**row.settings, **own}
        )

    # -- what is the case -------------------------------------------------------------------------------

    async def _look(self) -> SystemSample:
        at = self._ctx.mono()
        return await anyio.to_thread.run_sync(lambda: self._system.sample(at, OtherClaude()))

    def _seen(self, rows: Sequence[Protected], limits: Mapping[str, RunLimits], system: SystemSample) -> Seen:
        recognition = self._diagnosis.recognition
        reserve = self._ctx.settings.limits.reserve_bytes(system.total_bytes)
        soon: float | None = None
        if recognition is not None and recognition.around.machine.is_below_its_habit():
            soon = recognition.around.machine.exhausted_in_s
        machine = Machine(system.available_bytes, reserve, soon)
        return Seen(machine, [_standing(row, limits[row.task_id], recognition) for row in rows])

    async def _measured_again(self, seen: Seen, rows: Sequence[Protected], stops: set[str]) -> Seen:
        """Look once more before something is stopped: at the machine, and at the true memory of what would be."""
        runs = {row.task_id: row.run_id for row in rows if row.task_id in stops}
        weighed = await self._ctx.weigh(list(runs.values()))
        system = await self._look()
        tasks: list[Standing] = []
        for task in seen.tasks:
            sample = weighed.get(runs.get(task.task_id, ""))
            pss = None if sample is None else sample.pss_bytes
            tasks.append(task if pss is None else replace(task, memory_bytes=pss))
        return Seen(replace(seen.machine, available_bytes=system.available_bytes), tasks)

    # -- what is done -----------------------------------------------------------------------------------

    async def _write(
        self, decisions: Sequence[Decision], state: State, rows: Sequence[Protected], seen: Seen
    ) -> None:
        """Write down what is decided, and what is remembered if it is done, in one transaction."""
        now = self._ctx.wall()
        alert_id = self._alert_id
        is_due = self._ctx.mono() - self._stored_at >= STORE_EVERY_S
        if decisions or (is_due and self._stored.get("policy") != state.to_json()):
            by_id = {row.task_id: row for row in rows}
            async with self._ctx.db.write() as tx:
                for decision in decisions:
                    row = by_id.get(decision.task_id or "")
                    if (kind := announce.KINDS.get(decision.action)) is not None and row is not None:
                        await add_command(tx, self._command(kind, decision, row, now))
                    elif decision.action is Action.ASK and row is not None:
                        held = _held(state, [row])[0]
                        await add_event(tx, announce.task_waits(row.task_id, row.run_id, held, now))
                    elif decision.action is Action.ASK:
                        running = [row.name for row in rows if row.state is TaskState.RUNNING]
                        told = announce.system_waits(decision, _held(state, rows), running, now)
                        alert_id = await add_event(tx, told)
                    elif row is not None:
                        await add_event(tx, announce.task_settled(row.task_id, row.run_id, now))
                    else:
                        await add_event(tx, announce.system_settled(alert_id, now))
                        alert_id = None
                await self._store(tx, state, alert_id)
            self._ctx.trace("protection-decided")
        self._state, self._alert_id = state, alert_id
        self._hold(memory_hold(state, self._ctx.mono(), seen.machine, seen.tasks, self._pace))

    def _command(self, kind: CommandKind, decision: Decision, row: Protected, at: float) -> Command:
        origin = announce.ORIGIN
        if decision.cause is Cause.PRIORITY:
            origin = announce.QUEUE_ORIGIN
            args: JSON = {"reason": announce.gives_way(decision), "for": decision.data["for"]}
        elif kind is CommandKind.CHECKPOINT:
            args = {"checkpointId": new_id(), "label": "it is deadlocked"}
        else:
            args = {"reason": announce.reason(decision, self._pace)}
        return Command(f"protective-{new_id()}", kind, row.task_id, args, origin, at)

    async def _store(self, tx: Transaction, state: State, alert_id: int | None) -> None:
        stored: JSON = {"policy": state.to_json(), "alertId": alert_id}
        await store_judgements(tx, self._boot_id, {PROTECTION: stored})
        self._stored, self._alert_id, self._stored_at = stored, alert_id, self._ctx.mono()

    def _hold(self, after: MemoryHold | None) -> None:
        """Keep the queue from starting what must wait; the numbers are those of when that began."""
        before = self._ctx.memory_hold
        if before is not None and after is not None:
            after = after._replace(hold=before.hold)
        if after != before:
            self._ctx.memory_hold, self._ctx.admission_due = after, True


def _standing(row: Protected, limits: RunLimits, recognition: Recognition | None) -> Standing:
    history = None if recognition is None else recognition.histories.get(row.run_id)
    conditions = None if recognition is None else recognition.conditions.get(row.run_id)
    condition = Condition.MOVING if row.is_pending else _CONDITIONS.get(row.state, Condition.MOVING)
    stopped_by: str = (row.stopped or {}).get("by", "")
    if condition is Condition.RUNNING and history is not None and history.stopped_s is not None:
        condition, stopped_by = Condition.SUSPENDED, "other"
    is_overdue = conditions is not None and conditions.is_open("overdue")
    return Standing(
        row.task_id,
        row.priority,
        limits.level,
        condition,
        stopped_by,
        row.displaced_for,
        0.0 if history is None else history.cpu_rate,
        0 if history is None else history.memory.now_bytes,
        0.0 if history is None else history.marks.growth(least=LEAST_MARKS),
        0.0 if history is None else history.marks.steady_growth(),
        limits.max_memory_bytes,
        limits.critical_memory_bytes,
        row.may_hibernate,
        is_overdue and limits.level is Level.PROTECTIVE and row.on_timeout is None,
        conditions is not None and conditions.is_open("deadlocked"),
    )


def _stops(decided: Decided) -> set[str]:
    """Give the tasks whose processes would be stopped or ended though they run, or to free memory for another."""
    return {
        item.task_id
        for item in decided.decisions
        if item.task_id is not None
        and (item.action is Action.SUSPEND or (item.cause, item.action) == (Cause.PRIORITY, Action.HIBERNATE))
    }


def _held(state: State, rows: Sequence[Protected]) -> list[announce.Held]:
    return [
        announce.Held(
            row.task_id,
            row.name,
            row.state is TaskState.HIBERNATED,
            record.size_bytes,
            row.may_hibernate,
        )
        for row in rows
        if (record := state.records.get(row.task_id)) is not None
        and (row.stopped or {}).get("by") == "policy"
        and record.cause not in {Cause.OVERDUE, Cause.PRIORITY}
    ]
