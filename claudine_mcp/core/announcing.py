"""Findings as events: payload, and what one may do about them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from claudine_mcp.core.findings import Change, Finding, Step
from claudine_mcp.core.models import JSON, Event, Severity
from claudine_mcp.core.rules.course import OVERDUE, REPEATING, STUCK_PHASE
from claudine_mcp.core.rules.memory import CRITICAL_MEMORY, HIGH_MEMORY, MEMORY_LEAK
from claudine_mcp.core.rules.silence import DEADLOCKED, STALLED
from claudine_mcp.core.rules.use import DISK_IO, FD_LIMIT, RUNAWAY_CPU
from claudine_mcp.core.units import format_time
from claudine_mcp.core.wording import say, say_cleared

TASK_RECOVERED: Final = "task:recovered"
SYSTEM_RECOVERED: Final = "system:recovered"

_TIMES: Final = frozenset({"lastActivity", "since", "until"})
"""Fields of a finding's data that are seconds since the epoch, and RFC 3339 in an event's."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an event is about: a run of a task, or with all of it empty the machine."""

    task_id: str = ""
    run_id: str = ""
    name: str = ""

    def begin(self, rest: str) -> str:
        """Give the sentence that says something of it."""
        return f"{self.name} ({self.task_id}) {rest}" if self.task_id else rest


def event(
    change: Change,
    subject: Subject,
    at: float,
    *,
    offered: Collection[str] | None = None,
    name_of: Callable[[str], str] = str,
) -> Event:
    """Make the event that tells of a change.

    Args:
        change: what happened to a condition.
        subject: whom it is about.
        at: seconds since the epoch.
        offered: the actions that work at present; None for all that are known.
        name_of: gives what a person calls a run, by its id.
    """
    finding = change.finding
    data: JSON = {"taskId": subject.task_id} if subject.task_id else {}
    if change.step is Step.CLEARED:
        data |= {"of": finding.type, "heldSeconds": round(change.held_s)}
        if not subject.task_id and change.seq is not None:
            # The machine may be overloaded in several ways at once, each an alert of the same type.
            data["alertId"] = change.seq
        return Event(
            TASK_RECOVERED if subject.task_id else SYSTEM_RECOVERED,
            Severity.INFO,
            subject.begin(say_cleared(change)),
            at,
            subject.task_id or None,
            subject.run_id or None,
            data,
        )
    told = {
        key: format_time(value) if key in _TIMES and isinstance(value, float) else value
        for key, value in finding.data.items()
    }
    if change.step is Step.WORSENED:
        told["worse"] = True
    return Event(
        finding.type,
        finding.severity,
        subject.begin(say(finding, name_of)),
        at,
        subject.task_id or None,
        subject.run_id or None,
        data | told,
        tuple(item for item in suggestions(finding) if offered is None or item["action"] in offered),
    )


_CANCEL: Final[JSON] = {"action": "cancel", "label": "end it (CancelTask)"}
_CONTINUE: Final[JSON] = {"action": "continue", "label": "let it go on"}
_SNOOZE: Final[JSON] = {"action": "snooze", "label": "say nothing of it for a while"}
_SUSPEND: Final[JSON] = {
    "action": "suspend",
    "label": "stop it for now (SuspendTask); its memory stays taken",
}
_RESUME: Final[JSON] = {"action": "resume", "label": "let it go on (ResumeTask)"}
_HIBERNATE: Final[JSON] = {"action": "hibernate", "label": "save it, end it, go on later (HibernateTask)"}
_EXTEND: Final[JSON] = {"action": "extend", "label": "give it more time (UpdateTask)"}
_ANSWER: Final[tuple[JSON, ...]] = (
    {"action": "allow", "label": "let it do that, this once"},
    {"action": "deny", "label": "do not; a message can say why"},
)

_SUGGESTED: Final[Mapping[str, tuple[JSON, ...]]] = {
    STALLED: (_CONTINUE, _CANCEL, _SNOOZE),
    DEADLOCKED: (_CANCEL, _CONTINUE, _SNOOZE),
    HIGH_MEMORY: (_CONTINUE, _SUSPEND, _CANCEL, _SNOOZE),
    CRITICAL_MEMORY: (_HIBERNATE, _SUSPEND, _CANCEL, _CONTINUE),
    MEMORY_LEAK: (_CONTINUE, _HIBERNATE, _CANCEL, _SNOOZE),
    RUNAWAY_CPU: (_CONTINUE, _SUSPEND, _CANCEL, _SNOOZE),
    FD_LIMIT: (_CONTINUE, _CANCEL, _SNOOZE),
    DISK_IO: (_CONTINUE, _SUSPEND, _CANCEL, _SNOOZE),
    STUCK_PHASE: (_CONTINUE, _CANCEL, _SNOOZE),
    REPEATING: (_CONTINUE, _CANCEL, _SNOOZE),
    OVERDUE: (_EXTEND, _SUSPEND, _CANCEL, _SNOOZE),
}


def suggestions(finding: Finding) -> tuple[JSON, ...]:
    """Give what one may do about a finding, in the order in which it is worth thinking of."""
    if finding.data.get("why") == "permission":
        return _ANSWER
    if finding.data.get("why") == "stopped":
        return (_RESUME, _CANCEL, _SNOOZE)
    return _SUGGESTED.get(finding.type, ())
