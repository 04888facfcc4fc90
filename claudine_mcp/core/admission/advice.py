"""What a user could do about what holds a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from claudine_mcp.core.admission.holds import GO_ON
from claudine_mcp.core.models import JSON
from claudine_mcp.core.units import format_time


def advise_hold(hold: JSON | None) -> list[str]:
    """Say what could be done about it, each in a short sentence; nothing where waiting is all there is to do."""
    return [] if hold is None else _ADVICE[hold["rule"]](hold)


def _nothing(_hold: JSON) -> list[str]:
    return []


def _free_one(hold: JSON) -> list[str]:
    if "next" not in hold:
        return ["Cancel a task that is not needed (CancelTask)."]
    task_id: str = hold["next"]["taskId"]
    return [f"Hibernate task {task_id} (HibernateTask), where it can go on later, or cancel it (CancelTask)."]


def _memory(hold: JSON) -> list[str]:
    return [
        *_free_one(hold),
        "Give it a lower resources.minMemory, if it was given one (UpdateTask).",
        "Lower scheduling.nSigma: more starts at once, and memory is short more often.",
    ]


def _available(hold: JSON) -> list[str]:
    return [*_free_one(hold), "End other programs that use memory."]


def _soft_cap(hold: JSON) -> list[str]:
    suspend = []
    if "next" in hold:
        suspend = [f"Suspend task {hold['next']['taskId']} (SuspendTask): it gives its slot to another."]
    return [
        "Raise limits.softMaxConcurrent.",
        "Make it P0 (UpdateTask): it may pass the soft cap.",
        *suspend,
    ]


def _dependency(hold: JSON) -> list[str]:
    ids: list[str] = hold["taskIds"]
    return [f"See what task {ids[0]} waits for or does (TaskStatus)."]


_ADVICE: Mapping[str, Callable[[JSON], list[str]]] = MappingProxyType(
    {
        "paused": lambda _: [f"Let the queue go on ({GO_ON})."],
        "dependency": _dependency,
        "notBefore": lambda _: ["Change its notBefore (UpdateTask)."],
        "requeued": lambda _: ["Change its notBefore (UpdateTask) to have it try earlier."],
        "apiLimited": lambda hold: [
            f'Answer the alert of it with "continue" to try before {format_time(hold["until"])}.'
        ],
        "dailyBudget": lambda _: [
            "Raise scheduling.dailyBudgetUsd.",
            'Answer the alert of it with "continue" to let it cost more today.',
        ],
        "protective": lambda _: [
            "Hibernate (HibernateTask) or cancel (CancelTask) what is suspended: that frees its memory.",
            "Lower limits.systemMemoryReserve.",
        ],
        "session": lambda hold: [f"Wait for task {hold['taskIds'][0]}, or cancel it (CancelTask)."],
        "softCap": _soft_cap,
        "hardCap": lambda hold: ["Raise limits.hardMaxConcurrent.", *_free_one(hold)],
        "starts": _nothing,
        "cpu": lambda _: [
            "Raise scheduling.maxLoad.",
            "Suspend a task that can wait (SuspendTask).",
        ],
        "memory": _memory,
        "available": _available,
        "files": lambda _: ["End programs that hold many files open, or raise the system's limit."],
        "disk": lambda _: ["Free disk space; RemoveTasks removes ended tasks and their output."],
        "reserved": lambda hold: [
            f"Release reservation {hold['reservationIds'][0]} (ReserveCapacity with release)."
        ],
        "displaced": lambda _: ["Give it a higher priority (UpdateTask): then it comes first."],
        "backfill": lambda hold: [
            "Give it a higher priority (UpdateTask): then it comes first.",
            f"Cancel task {hold['taskId']} (CancelTask), if it is not needed.",
        ],
    }
)
