"""The answer to everything that starts a task."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from claudine_mcp.front.views import QueueView, TaskView, View
from claudine_mcp.front.worktree_views import WorktreeView
from claudine_mcp.server.handover import handed_over
from claudine_mcp.server.session import Ctx, asked_meanwhile, session_of

if TYPE_CHECKING:
    from claudine_mcp.front.front import Front


class Submitted(View):
    """A task was accepted: it is kept, and will run, whatever becomes of this client."""

    task_id: str
    state: str
    queue: QueueView | None = None
    worktree: WorktreeView | None = None
    task: TaskView | None = Field(default=None, description="with wait: the task at its end")
    note: str | None = Field(
        default=None, description="why it does not start, or why the waiting ended before it did"
    )


async def submitted(ctx: Ctx, front: Front, task_id: str, *, wait: bool) -> Submitted:
    """Give the answer for a task that was queued; with `wait`, when it has ended."""
    if wait:
        from claudine_mcp.front.waiting import Wanted, wait_for_events  # noqa: PLC0415 - start-up time

        # Of the events only the end: they are counted here, and not shown.
        wanted = Wanted(after=0, task_ids=[task_id], types=["task:ended"], until="ended")
        if await handed_over("task", wanted, None):
            return await task_answer(front, task_id)

        # Nobody can be asked meanwhile, or tell this client anything, so it must not be kept waiting.
        wanted = wanted if asked_meanwhile(ctx) == "all" else replace(wanted, warned_after=0)

        async def progress(seconds: float, what: str) -> None:
            await ctx.report_progress(seconds, None, what)

        with session_of(ctx).calls.waiting(wanted) as answers:
            waited = await wait_for_events(front, wanted, None, progress)
            answers(waited)
        answer = await task_answer(front, task_id, whole=True)
        how = f'{waited.why}, taskIds=["{task_id}"], until="ended" (WaitForEvents)'
        return answer if answer.state == "ended" else answer.model_copy(update={"note": how})
    return await task_answer(front, task_id)


async def task_answer(
    front: Front, task_id: str, *, whole: bool = False, note: str | None = None
) -> Submitted:
    """Give the answer for a task as it is now; with `whole`, all that there is to tell of it."""
    from claudine_mcp.front.details import task_view  # noqa: PLC0415 - start-up time

    view = await task_view(front, task_id)
    if note is None and view.state == "queued":
        from claudine_mcp.front.pausing import pause_note  # noqa: PLC0415 - start-up time

        note = await pause_note(front)
    return Submitted(
        task_id=view.task_id,
        state=view.state,
        queue=view.queue,
        worktree=None if whole else view.worktree,
        task=view if whole else None,
        note=note,
    )
