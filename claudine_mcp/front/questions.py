"""What delegated Claude Codes ask, and which client puts it to its user."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.core.models import JSON, Event, Task
from claudine_mcp.front.clients import concerns
from claudine_mcp.front.front import LOOK_EVERY_S, Front
from claudine_mcp.registry.bell import listen
from claudine_mcp.registry.commands import open_questions
from claudine_mcp.registry.events import events_after
from claudine_mcp.registry.tasks import get_task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """A delegated run asks whether it may use a tool.

    Attributes:
        alert_id: `seq` of the event that raised it; by this it is answered.
        until: when it is denied, if nobody has answered: seconds since the epoch.
    """

    alert_id: int
    task: Task
    tool: str
    input: JSON
    until: float


async def questions_for(front: Front, task_ids: Sequence[str] = ()) -> list[Question]:
    """Give the questions that this client may put to its user, oldest first.

    A task belongs to the session that submitted it and, when that has gone, to the clients of the same project.

    Args:
        front: the client's side of the state directory.
        task_ids: only of these tasks; empty: of all.
    """
    found: list[Question] = []
    async with front.db.read() as tx:
        for asked in await open_questions(tx):
            if asked.task_id is None or (task_ids and asked.task_id not in task_ids):
                continue
            task = await get_task(tx, asked.task_id)
            until = asked.created_at + (task.spec.get("askTimeout") or 0) / 1000
            found.append(
                Question(asked.args["alertId"], task, asked.args["tool"], asked.args["input"], until)
            )
    return [question for question in found if concerns(front, question.task.submitter)]


async def watch_questions(front: Front, tell: Callable[[Sequence[Question]], None]) -> None:
    """Tell which questions wait for this client's user, now and after everything that happens. Does not return."""
    said = ""
    with listen(front.db.bell) as listener:
        while True:
            try:
                tell(await questions_for(front))
            except (ClaudineError, OSError) as error:
                if str(error) != said:
                    log.warning("questions cannot be read: %s", error)
                said = str(error)
            await listener.wait(LOOK_EVERY_S)


async def decision(front: Front, alert_id: int) -> Event | None:
    """Give the event that tells how a question was decided, None while it is open, or if its task ended first."""
    async with front.db.read() as tx:
        events = await events_after(tx, alert_id, types=["task:recovered"])
    return next((event for event in events if event.data.get("alertId") == alert_id), None)
