"""One task whole, as everyone is shown it."""

from __future__ import annotations

import time

import anyio.to_thread

from claudine_mcp.core.models import CommandKind
from claudine_mcp.core.states import State
from claudine_mcp.front.front import Front
from claudine_mcp.front.progress_views import eta_view, needs_history
from claudine_mcp.front.views import QuestionView, QueueView, TaskView, question_view, queue_view, view_of
from claudine_mcp.registry.commands import open_commands
from claudine_mcp.registry.history import past_runs
from claudine_mcp.registry.tasks import ahead_of, get_task, runs_of


async def task_view(front: Front, wanted: str) -> TaskView:
    """Give a task by its id or the beginning of it, with its runs, its place in the queue, and what it asks.

    Raises:
        TaskNotFound: there is none, or several.
    """
    queue: QueueView | None = None
    question: QuestionView | None = None
    async with front.db.read() as tx:
        task = await get_task(tx, wanted)
        runs = await runs_of(tx, task.id)
        past = await past_runs(tx, task) if needs_history(task) else []
        if task.state is State.QUEUED:
            queue = queue_view(task, await ahead_of(tx, task))
        elif task.session_id is not None and task.state is State.RUNNING:
            for command in await open_commands(tx):
                if (
                    command.kind is CommandKind.ASK
                    and command.task_id == task.id
                    and "alertId" in command.args
                ):
                    question = question_view(command)
                    break
    eta = eta_view(task, past, time.time())
    return await anyio.to_thread.run_sync(
        lambda: view_of(task, runs, front.state_dir, queue=queue, question=question, eta=eta)
    )
