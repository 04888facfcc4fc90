"""The answer to everything that starts a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from claudine_mcp.front.views import QueueView, TaskView, View
from claudine_mcp.server.session import Ctx, session_of

if TYPE_CHECKING:
    from claudine_mcp.front.front import Front


class Submitted(View):
    """A task was accepted: it is kept, and will run, whatever becomes of this client."""

    task_id: str
    state: str
    queue: QueueView | None = None
    task: TaskView | None = Field(default=None, description="with wait: the task at its end")


async def submitted(ctx: Ctx, front: Front, task_id: str, *, wait: bool) -> Submitted:
    """Give the answer for a task that was queued; with `wait`, when it has ended."""
    from claudine_mcp.front.details import task_view  # noqa: PLC0415 - start-up time
    from claudine_mcp.front.waiting import Wanted, wait_for_events  # noqa: PLC0415 - start-up time

    if wait:

        async def progress(seconds: float, what: str) -> None:
            await ctx.report_progress(seconds, None, what)

        wanted = Wanted(task_ids=[task_id], until="ended")
        with session_of(ctx).calls.waiting(wanted) as answers:
            answers(await wait_for_events(front, wanted, None, progress))
    view = await task_view(front, task_id)
    return Submitted(task_id=view.task_id, state=view.state, queue=view.queue, task=view if wait else None)
