"""What protective mode says: why a task was stopped, with the numbers, and what only the user can decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from claudine_mcp.core.models import JSON, CommandKind, Event, Severity
from claudine_mcp.core.policy import Action, Cause, Decision, Pace
from claudine_mcp.core.units import human_duration, human_size

TASK_WAITS: Final = "task:needs-decision"
SYSTEM_WAITS: Final = "system:needs-decision"
ORIGIN: Final[JSON] = {"by": "protective mode", "policy": True}
QUEUE_ORIGIN: Final[JSON] = {"by": "the queue", "policy": True}
KINDS: Final[Mapping[Action, CommandKind]] = {
    Action.SUSPEND: CommandKind.SUSPEND,
    Action.RESUME: CommandKind.RESUME,
    Action.TRIAL: CommandKind.RESUME,
    Action.HIBERNATE: CommandKind.HIBERNATE,
    Action.CHECKPOINT: CommandKind.CHECKPOINT,
}
_SNOOZE: Final[JSON] = {"action": "snooze", "label": "say nothing of it for a while"}


@dataclass(frozen=True, slots=True)
class Held:
    """A task that the policy has stopped.

    Attributes:
        is_hibernated: whether its memory is free.
        size_bytes: what it takes, or took.
        may_hibernate: whether its memory could be freed and it could go on afterwards.
    """

    task_id: str
    name: str
    is_hibernated: bool
    size_bytes: int
    may_hibernate: bool


def reason(decision: Decision, pace: Pace) -> str:
    """Say why something is done, as a command's reason has it."""
    data = decision.data
    room = f"{human_size(data['available'])} of memory are available"
    kept = f"{human_size(data['reserve'])} are to be kept (limits.systemMemoryReserve)"
    if decision.action is Action.TRIAL:
        what = "nothing else runs" if decision.cause is Cause.ALONE else f"{room}, twice what is to be kept"
        return f"{what}: trial {data['trial']} of {pace.trials}, of {human_duration(pace.trial_s)}"
    match decision.cause:
        case Cause.LIMIT:
            return f"it takes {human_size(data['usage'])}, more than limits.criticalMemory"
        case Cause.OVERDUE:
            return "its time is over" if decision.action is Action.SUSPEND else "it was given more time"
        case Cause.ROOM if decision.action is Action.HIBERNATE:
            return f"{room}, too little for what is suspended to go on"
        case Cause.ROOM:
            return f"{room}, enough for it to go on"
        case _:
            soon = data.get("exhaustedInSeconds")
            out = "" if soon is None else f", and used up in {human_duration(soon)} at this pace"
            growth = data.get("bytesPerMinute", 0)
            grows = f", and takes {human_size(growth)} more each minute" if growth > 0 else ""
            return f"{room}{out}; {kept}; it takes {human_size(data['usage'])}{grows}"


def gives_way(decision: Decision) -> str:
    """Say for which task one is stopped, or why it need not be any longer."""
    data, other = decision.data, decision.data["for"]
    if decision.action is Action.RESUME:
        now = "has ended" if data["isOver"] else "leaves room for it"
        return f"task {other}, for which it had to give way, {now}"
    return f"as {data['priority']} it gives way to task {other} ({data['forPriority']}), which waits: {data['why']}"


def task_waits(task_id: str, run_id: str, held: Held, at: float) -> Event:
    """A task is above its limit again after all its trials."""
    actions: list[JSON] = [{"action": "resume", "label": "let it go on above its limit (ResumeTask)"}]
    if held.may_hibernate:
        actions.append(
            {"action": "hibernate", "label": "save it, free its memory, go on later (HibernateTask)"}
        )
    actions.append({"action": "cancel", "label": "end it (CancelTask)"})
    return Event(
        TASK_WAITS,
        Severity.WARNING,
        f"{held.name} ({task_id}) takes {human_size(held.size_bytes)}, more than limits.criticalMemory, and did not "
        "come back below it when it was let go on; it stays suspended until you decide",
        at,
        task_id=task_id,
        run_id=run_id,
        data={"taskId": task_id, "usage": held.size_bytes},
        suggestions=(*actions, _SNOOZE),
    )


def system_waits(decision: Decision, held: Sequence[Held], running: Sequence[str], at: float) -> Event:
    """Nothing more can be done about the machine's memory without the user's word."""
    data = decision.data
    suspended = [item for item in held if not item.is_hibernated]
    hibernated = [item for item in held if item.is_hibernated]
    parts = [
        f"memory is short: {human_size(data['available'])} are available, {human_size(data['reserve'])} are to be kept"
        if data["available"] < data["reserve"]
        else f"{human_size(data['available'])} of memory are available, too little for what is suspended to go on"
    ]
    if hibernated:
        parts.append(f"hibernated, which freed {_sizes(hibernated)}")
    if suspended:
        parts.append(
            f"suspended, which freed nothing: {_sizes(suspended)}. HibernateTask (where it can go on later) or "
            "CancelTask frees it; ResumeTask lets it go on all the same"
        )
    if running:
        parts.append(f"still running: {', '.join(running)}")
    return Event(
        SYSTEM_WAITS,
        Severity.CRITICAL,
        "protective mode can do no more. " + "; ".join(parts),
        at,
        data={
            **data,
            "suspended": [{"taskId": item.task_id, "bytes": item.size_bytes} for item in suspended],
            "hibernated": [{"taskId": item.task_id, "freedBytes": item.size_bytes} for item in hibernated],
        },
        suggestions=(_SNOOZE,),
    )


def _sizes(held: Sequence[Held]) -> str:
    return ", ".join(f"{item.name} ({item.task_id}) {human_size(item.size_bytes)}" for item in held)


def task_settled(task_id: str, run_id: str, at: float) -> Event:
    """The user has decided about a task, or it has come to something by itself."""
    return Event(
        "task:recovered",
        Severity.INFO,
        f"task {task_id} waits for no decision any more",
        at,
        task_id=task_id,
        run_id=run_id,
        data={"taskId": task_id, "of": TASK_WAITS},
    )


def system_settled(alert_id: int | None, at: float) -> Event:
    """Memory is no longer short, or nothing of ours runs any more."""
    data: JSON = {"of": SYSTEM_WAITS}
    if alert_id is not None:
        data["alertId"] = alert_id
    return Event(
        "system:recovered", Severity.INFO, "protective mode needs no decision any more", at, data=data
    )
