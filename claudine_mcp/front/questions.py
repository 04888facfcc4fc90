"""What delegated Claude Codes ask, and which client puts it to its user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from claudine_mcp.core.models import Task
from claudine_mcp.front.clients import concerns
from claudine_mcp.front.front import Front
from claudine_mcp.front.views import QuestionView, question_view
from claudine_mcp.registry.commands import open_questions, question_of
from claudine_mcp.registry.questions import end_of
from claudine_mcp.registry.tasks import get_task


@dataclass(frozen=True, slots=True)
class Question:
    """What a task asks a person."""

    task: Task
    asked: QuestionView


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
            found.append(Question(task, question_view(asked, task)))
    return [question for question in found if concerns(front, question.task.submitter)]


async def decided(front: Front, alert_id: int) -> tuple[str, str] | None:
    """Give how a question was closed: `allow` or `deny`, and what there is to tell of it; None while it is open."""
    async with front.db.read() as tx:
        asked = await question_of(tx, alert_id)
        if asked is None or asked.result is None:
            return None
        event = await end_of(tx, asked)
    text = "its run has ended, and with it the question" if event is None else event.message
    return asked.result.get("behavior", "deny"), asked.result.get("error") or text
