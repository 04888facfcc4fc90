"""Which events are alerts, what makes them pass, and whom they concern."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from claudine_mcp.core.models import Event, Severity

HANDED_AT_MOST = 3
"""How often one caller is given an alert that nobody answers: after that it has been heard."""

OFFERED = frozenset({"allow", "deny", "continue", "snooze", "suspend", "resume", "hibernate", "cancel"})
"""What can be answered to alerts; each offers some of these."""

ENDED = "task:ended"

FRESH_STARTS = frozenset({"task:requeued", "task:started", ENDED, "task:hibernated"})
"""With these everything that was said of the task before is past."""
RECOVERIES = frozenset({"task:recovered", "system:recovered"})


@dataclass(frozen=True, slots=True)
class Passed:
    """Alerts that are over.

    Attributes:
        task_id: of this task; None: of the machine.
        type: only of this type; None: of all.
        seq: only this one; None: all of them.
    """

    task_id: str | None
    type: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is told of alerts: a session of Claude Code, or whatever else is connected, and its project directory."""

    session: str
    project: str


def is_alert(event: Event) -> bool:
    """Whether an event stays to be answered, instead of only having happened."""
    return event.severity.rank >= Severity.WARNING.rank and event.type not in RECOVERIES


def is_notable(event: Event) -> bool:
    """Whether a person should be told of an event without having asked: of an alert, and of every end."""
    return is_alert(event) or event.type == ENDED


def asks_permission(event: Event) -> bool:
    """Whether a permission waits for a person's word: the question itself, or a warning because of it."""
    return any(item["action"] == "allow" for item in event.suggestions)


def passed_with(event: Event) -> Passed | None:
    """Say which alerts are over because of an event."""
    if event.type in FRESH_STARTS:
        return Passed(event.task_id)
    if event.type == "task:resumed":
        return Passed(event.task_id, "task:suspended")
    if event.type in RECOVERIES:
        return Passed(event.task_id, event.data.get("of"), event.data.get("alertId"))
    return None


def concerns(submitter: Mapping[str, Any] | None, caller: Caller, is_there: Callable[[str], bool]) -> bool:
    """Whether what happens to a task concerns a caller.

    A task belongs to the session that submitted it and, once that is gone, to the sessions of the same project, which
    may have been submitted from a folder within it.

    Args:
        submitter: of the task, as it was stored with it; None: it is about the machine, which concerns everyone.
        caller: who asks.
        is_there: whether a session has a server now.
    """
    if submitter is None:
        return True
    session: str | None = submitter.get("session")
    if session == caller.session:
        return True
    project: str | None = submitter.get("project")
    is_within = project is not None and (
        project == caller.project or project.startswith(caller.project.rstrip("/") + "/")
    )
    return is_within and (session is None or not is_there(session))
