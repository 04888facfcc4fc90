"""One task whole, as everyone is shown it."""

from __future__ import annotations

import time
from typing import Any

import anyio.to_thread

from claudine_mcp.core.models import JSON, Task
from claudine_mcp.core.states import ACTIVE, State
from claudine_mcp.core.units import format_time
from claudine_mcp.front.alert_views import alert_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.metrics import newest_sample
from claudine_mcp.front.progress_views import eta_view, needs_history
from claudine_mcp.front.views import QuestionView, QueueView, TaskView, question_view, queue_view, view_of
from claudine_mcp.registry.alerts import open_alerts
from claudine_mcp.registry.checkpoints import checkpoints_of
from claudine_mcp.registry.commands import open_questions
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import events_after
from claudine_mcp.registry.history import past_runs
from claudine_mcp.registry.spending import spent_by
from claudine_mcp.registry.tasks import ahead_of, get_task, runs_of

DIGITS = 6
"""Of dollars."""


async def task_view(front: Front, wanted: str) -> TaskView:
    """Give a task by its id or the beginning of it, with its runs, its place in the queue, and what it asks.

    Raises:
        TaskNotFound: there is none, or several.
    """
    queue: QueueView | None = None
    question: QuestionView | None = None
    unread: list[str] | None = None
    async with front.db.read() as tx:
        task = await get_task(tx, wanted)
        alerts = [alert_view(alert.event) for alert in await open_alerts(tx, time.time(), task_id=task.id)]
        runs = await runs_of(tx, task.id)
        past = await past_runs(tx, task) if needs_history(task) else []
        if task.state is State.QUEUED:
            queue = queue_view(task, await ahead_of(tx, task))
        else:
            asked = next((item for item in await open_questions(tx) if item.task_id == task.id), None)
            question = None if asked is None else question_view(asked, task)
        spent_usd = 0.0 if task.session_id is None else await spent_by(tx, task.id)
        if task.session_id is not None and task.state is State.ENDED:
            unread = await _unread_messages(tx, task)
        checkpoints = await count_checkpoints(tx, task.id)
    more: dict[str, Any] = {
        "checkpoints": checkpoints,
        "open_alerts": alerts or None,
        "eta": eta_view(task, past, time.time()),
        **_money(task, spent_usd),
    }

    def look() -> TaskView:
        view = view_of(task, runs, front.state_dir, queue=queue, question=question, unread_messages=unread)
        if task.run and task.state in ACTIVE:
            more["sample"] = newest_sample(front.state_dir, task)
        if task.spec.get("worktree"):
            from claudine_mcp.front.worktrees import worktree_view  # noqa: PLC0415 - only where it is needed

            more["worktree"] = worktree_view(task)
        return view.model_copy(update=more)

    return await anyio.to_thread.run_sync(look)


async def count_checkpoints(tx: Transaction, task_id: str) -> JSON | None:
    """Give how many checkpoints a task has, and the newest; None if it has none."""
    found = await checkpoints_of(tx, task_id)
    if not found:
        return None
    newest = found[-1]
    return {"count": len(found), "newest": newest.id, "at": format_time(newest.at), "cause": newest.cause}


def _money(task: Task, spent_usd: float) -> dict[str, float | None]:
    budget: float | None = task.spec.get("maxBudgetUsd")
    return {
        "spent_usd": round(spent_usd, DIGITS) if spent_usd else None,
        "budget_left_usd": None if budget is None else round(max(0.0, budget - spent_usd), DIGITS),
    }


async def _unread_messages(tx: Transaction, task: Task) -> list[str] | None:
    lost = await events_after(tx, 0, task_ids=[task.id], types=["task:messages-lost"])
    return next((event.data["messages"] for event in lost if event.run_id == f"{task.id}.{task.run}"), None)
