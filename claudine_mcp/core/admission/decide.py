"""Which queued task may start now, and by which rule the others wait. Pure: data in, decisions out."""

from __future__ import annotations

from collections.abc import Mapping

from claudine_mcp.core.admission.model import Decisions, Situation, Waiting
from claudine_mcp.core.models import JSON, Kind, Priority
from claudine_mcp.core.requeue import spread_s
from claudine_mcp.core.states import Outcome


def order(task: Waiting) -> tuple[int, float, int]:
    """The order in which tasks start: priority, then how long they wait, then arrival."""
    return (task.priority, task.queued_at, task.seq)


def decide(situation: Situation) -> Decisions:
    """Decide about every queued task."""
    busy = dict(situation.busy_sessions)
    caps, now, claude_hold, memory = situation.caps, situation.now, situation.claude_hold, situation.memory
    paused = None if situation.paused is None else {"rule": "paused", **situation.paused}
    active = len(situation.active)
    decisions = Decisions()
    for task in sorted(situation.waiting, key=order):
        failed, pending = _dependencies(task, situation.outcomes)
        if failed is not None:
            decisions.skip[task.id] = failed
        elif paused is not None or pending:
            decisions.hold[task.id] = paused or {"rule": "dependency", "taskIds": pending}
        elif task.not_before is not None and task.not_before > now:
            decisions.hold[task.id] = _until(task, task.not_before)
            decisions.look_again_at = min(task.not_before, decisions.look_again_at or task.not_before)
        elif (
            task.kind is Kind.CLAUDE
            and claude_hold is not None
            and now < (until := _own_time(task, claude_hold))
        ):
            decisions.hold[task.id] = {**claude_hold, "until": until}
            decisions.look_again_at = min(until, decisions.look_again_at or until)
        elif memory is not None and task.id not in memory.but_for:
            decisions.hold[task.id] = memory.hold
        elif task.session is not None and task.session in busy:
            decisions.hold[task.id] = {"rule": "session", "taskIds": [busy[task.session]]}
        elif active < caps.soft or (task.priority is Priority.P0 and active < caps.hard):
            decisions.admit.append(task.id)
            if task.session is not None:
                busy[task.session] = task.id
            active += 1
        else:
            rule = "hardCap" if active >= caps.hard else "softCap"
            decisions.hold[task.id] = {"rule": rule, "cap": caps.hard if rule == "hardCap" else caps.soft}
    return decisions


def _until(task: Waiting, not_before: float) -> JSON:
    """Give the hold of a task that has its own time: to be started then, or to go on by itself."""
    hold = task.hold
    is_requeued = hold is not None and hold["rule"] == "requeued" and hold["until"] == not_before
    return hold if hold is not None and is_requeued else {"rule": "notBefore", "until": not_before}


def _own_time(task: Waiting, hold: JSON) -> float:
    """Give when a task may start that has waited for the same moment as others: not all at once."""
    until: float = hold["until"]
    return until + spread_s(task.id, 0, until - hold["since"])


def _dependencies(task: Waiting, outcomes: Mapping[str, Outcome | None]) -> tuple[str | None, list[str]]:
    """Give why a task can never start (or None), and what it still waits for."""
    pending: list[str] = []
    for dependency in task.depends_on:
        if dependency.task_id not in outcomes:
            return f"task {dependency.task_id}, which it depends on, was removed", []
        outcome = outcomes[dependency.task_id]
        if outcome is None:
            pending.append(dependency.task_id)
        elif dependency.on == "success" and outcome is not Outcome.SUCCEEDED:
            return f"task {dependency.task_id}, which it depends on, ended as {outcome}", []
    return None, pending
