"""What has become of tasks since the policy last looked: carried out, failed, or taken out of its hands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from claudine_mcp.core.policy.model import Cause, Condition, Pace, Standing
from claudine_mcp.core.policy.state import Phase, Record, State

BACK: Final = 0.9
"""The share of its limit below which a task has come back from above it."""
POLICY: Final = "policy"


def follow(state: State, now: float, tasks: Mapping[str, Standing], pace: Pace) -> list[str]:
    """Bring what is remembered up to date; give the tasks about which the user need not be asked any more."""
    for task_id in [each for each in state.records if each not in tasks]:
        del state.records[task_id]
    settled: list[str] = []
    for task in tasks.values():
        record = state.record(task.task_id)
        _follow_phase(record, task, now)
        if task.is_running:
            _follow_limit(record, task, now, pace)
        else:
            record.over_since = None
        if not task.is_overdue and Cause.OVERDUE in record.allowed:
            record.allowed.remove(Cause.OVERDUE)
        record.is_kept = record.is_kept and task.is_deadlocked
        if record.is_asked and record.phase is not Phase.STOPPED:
            record.is_asked = False
            settled.append(task.task_id)
    return settled


def _follow_phase(record: Record, task: Standing, now: float) -> None:
    if task.condition is Condition.MOVING:
        return
    if task.is_running:
        _runs(record, now)
    elif task.stopped_by != POLICY:
        # Whoever has stopped it will say when it goes on.
        record.phase, record.cause, record.trial_since = Phase.NONE, None, None
    else:
        if record.phase is not Phase.STOPPED:
            record.stopped_at = now
        if record.phase is Phase.HIBERNATING and task.condition is Condition.SUSPENDED:
            record.is_awake = True
        record.phase, record.trial_since = Phase.STOPPED, None
        # Stopped before the machine was started anew, or the registry restored: for the usual reason, then.
        record.cause = record.cause or (Cause.PRIORITY if task.displaced_for else Cause.MACHINE)
        record.size_bytes = max(record.size_bytes, task.memory_bytes)


def _runs(record: Record, now: float) -> None:
    if record.phase in {Phase.STOPPING, Phase.HIBERNATING}:
        record.refused_at = now
    if record.phase is Phase.STOPPED:
        # Not we: the user has let it go on, and for that reason it is not stopped again.
        if record.cause is not None and record.cause not in record.allowed:
            record.allowed.append(record.cause)
        record.allowed_at, record.cause, record.trials = now, None, 0
    elif record.phase is Phase.RESUMING and record.trial_since is not None:
        record.trial_since = now
    elif record.phase is Phase.RESUMING:
        record.cause, record.trials = None, 0
    elif record.trial_since is None:
        record.cause = None  # stopping it has failed
    record.phase, record.is_awake = Phase.NONE, False


def _follow_limit(record: Record, task: Standing, now: float, pace: Pace) -> None:
    is_over = task.memory_bytes > task.critical_bytes
    if not is_over:
        record.over_since = None
    elif record.over_since is None:
        record.over_since = now
    if record.trial_since is not None and now - record.trial_since >= pace.trial_s and not is_over:
        record.trial_since, record.cause, record.trials = None, None, 0
    if task.memory_bytes <= BACK * task.critical_bytes and Cause.LIMIT in record.allowed:
        record.allowed.remove(Cause.LIMIT)
