"""What ends a wait for an end before it: a task that is waited for needs someone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from claudine_mcp.core.alerts import ENDED, asks_permission
from claudine_mcp.core.models import Event
from claudine_mcp.core.pointers import one_line
from claudine_mcp.front.alerts import choices_for, open_to
from claudine_mcp.front.front import Front
from claudine_mcp.front.questions import questions_for

Asked = Literal["nothing", "questions", "all"]
"""What a client's user is asked, or told of, while it waits: permissions, and warnings that suggest something."""
WORDS_CHARS = 300


async def needing_someone(front: Front, task_ids: Sequence[str], after: int, asked: Asked) -> list[Event]:
    """Give the open alerts of these tasks that came after the cursor, oldest first; of ends none.

    Args:
        front: the client's side of the state directory.
        task_ids: whole.
        after: the cursor.
        asked: without what the client's user is asked meanwhile.
    """
    found = [
        alert.event
        for alert in await open_to(front, task_ids, handed_less_than=None)
        if alert.event.seq > after and alert.event.type != ENDED
    ]
    if found and asked != "nothing":
        asking = {question.task.id for question in await questions_for(front, task_ids)}
        found = [event for event in found if not (event.task_id in asking and asks_permission(event))]
    if found and asked == "all":
        shown = {choice.alert_id for choice in await choices_for(front, task_ids)}
        found = [event for event in found if event.seq not in shown]
    return sorted(found, key=lambda event: event.seq)


async def before_untold(front: Front, task_ids: Sequence[str], newest: int) -> int:
    """Give the cursor before what is open about these tasks and the caller has not been told; else the newest."""
    untold = [alert.event.seq for alert in await open_to(front, task_ids, handed_less_than=1)]
    return min([newest + 1, *untold]) - 1


def why_now(events: Sequence[Event], cursor: int) -> str:
    """Say that because of these a wait returns, and how it goes on."""
    words = one_line(events[0].message)
    if len(words) > WORDS_CHARS:
        words = words[: WORDS_CHARS - 1] + "…"
    more = f" (and {len(events) - 1} more)" if len(events) > 1 else ""
    return f"task {events[0].task_id} needs attention: {words}{more}; wait again with after={cursor}"
