"""One task whole, as everyone is shown it."""

from __future__ import annotations

import anyio.to_thread

from claudine_mcp.core.states import State
from claudine_mcp.front.front import Front
from claudine_mcp.front.views import QueueView, TaskView, queue_view, view_of
from claudine_mcp.registry.tasks import ahead_of, get_task, runs_of


async def task_view(front: Front, wanted: str) -> TaskView:
    """Give a task by its id or the beginning of it, with its runs, and with its place in the queue.

    Raises:
        TaskNotFound: there is none, or several.
    """
    queue: QueueView | None = None
    async with front.db.read() as tx:
        task = await get_task(tx, wanted)
        runs = await runs_of(tx, task.id)
        if task.state is State.QUEUED:
            queue = queue_view(task, await ahead_of(tx, task))
    return await anyio.to_thread.run_sync(view_of, task, runs, queue, front.state_dir)
