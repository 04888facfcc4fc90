"""Git worktrees of tasks: made before a run, parted with after the last one, and never with work that is nowhere else.

What is intended is written down before it is done; what is found half done is done again.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from claudine_mcp.core.errors import LeaseLost, TaskNotFound
from claudine_mcp.core.models import JSON, Event, Task
from claudine_mcp.core.paths import worktrees_directory
from claudine_mcp.core.states import State
from claudine_mcp.core.worktree import branch_for, is_open, working_folder
from claudine_mcp.host.git import GitError
from claudine_mcp.host.worktrees import (
    Unsaved,
    add,
    changes,
    free_branch,
    remove,
    remove_condemned,
)
from claudine_mcp.registry.tasks import dependents_of, get_task, update_task
from claudine_mcp.registry.worktrees import keepers_of_worktrees, unsettled
from claudine_mcp.supervisor.context import Context

log = logging.getLogger(__name__)

LOOK_S = 5.0
"""For saying at a task's end what is in its worktree: everyone waits for that."""
RETRY_S = 5.0
EXPIRE_EVERY_S = 3600.0


async def prepare(ctx: Context, task: Task) -> Task:
    """Make the worktree of a task that wants one, unless it is there; give the task as its run is to see it.

    Raises:
        GitError: it cannot be made.
        OSError: its folder cannot be made.
    """
    wanted: JSON | None = task.spec.get("worktree")
    if wanted is None:
        return task
    async with alone(ctx, task.id):
        async with ctx.db.read() as tx:
            before = (await get_task(tx, task.id)).worktree  # it may have been parted with a moment ago
        git_dir = Path(wanted["gitDir"])
        if before is None:
            branch = await anyio.to_thread.run_sync(free_branch, git_dir, branch_for(task))
        else:
            branch = before["branch"]
        made = {key: wanted[key] for key in ("repository", "gitDir", "base", "folder")}
        path = worktrees_directory(ctx.state_dir) / task.id
        made |= {"path": str(path), "branch": branch}
        if before is not None and before.get("filled") and before.get("fate") != "removed":
            made["filled"] = True
        if made != before:
            async with ctx.db.write() as tx:
                await update_task(tx, task.id, worktree=made)
        ctx.trace("worktree-intended")
        umask: int = task.spec.get("umask", 0o022)
        await anyio.to_thread.run_sync(partial(add, git_dir, path, branch, made["base"], umask=umask))
        ctx.trace("worktree-made")
        content: str | None = wanted.get("content")
        if content is not None and "filled" not in made:
            await _fill(ctx, path, content)
            made = {**made, "filled": True}
            async with ctx.db.write() as tx:
                await update_task(tx, task.id, worktree=made)
            ctx.trace("worktree-filled")
    task = replace(task, worktree=made)
    return replace(task, cwd=str(working_folder(task)))


async def _fill(ctx: Context, path: Path, content: str) -> None:
    from claudine_mcp.host.restoring import fill  # noqa: PLC0415 - a supervisor may never restore anything

    await anyio.to_thread.run_sync(partial(fill, path, content, state_dir=ctx.state_dir))


async def work_in(task: Task) -> JSON | None:
    """Give what the word of a task's end says of its worktree, None if there is nothing in it."""
    made = task.worktree
    if made is None or not is_open(made):
        return None
    return await anyio.to_thread.run_sync(_work_in, made)


def _work_in(made: JSON) -> JSON | None:
    said: JSON = {"branch": made["branch"], "path": made["path"]}
    path = Path(made["path"])
    try:
        found = changes(path, made["base"], timeout_s=LOOK_S)
    except GitError as error:
        return {**said, "problem": str(error)} if path.exists() else None
    return None if found.are_none else {**said, "changes": str(found)}


def with_work(event: Event, work: JSON | None) -> Event:
    """Add to the word of a task's end on what branch its work is."""
    if work is None:
        return event
    more = f"; its work is on branch {work['branch']} ({work['changes']})" if "changes" in work else ""
    return replace(event, message=event.message + more, data={**event.data, "worktree": work})


async def settle(ctx: Context) -> None:
    """Part with the worktrees of tasks that have ended: what is unchanged is removed, the rest is kept."""
    async with ctx.db.read() as tx:
        tasks = await unsettled(tx)
    for task in tasks:
        async with alone(ctx, task.id):
            async with ctx.db.read() as tx:  # it may have been retried, or removed
                again = next((item for item in await unsettled(tx) if item.id == task.id), None)
            if again is None or again.worktree is None:
                continue
            ctx.trace("worktree-parting")
            fate = await anyio.to_thread.run_sync(_part_with, again.worktree)
            ctx.trace("worktree-parted")
            async with ctx.db.write() as tx:
                await update_task(tx, task.id, worktree={**again.worktree, **fate})


async def clear(ctx: Context, ids: Collection[str], has_processes: Callable[[Task], bool]) -> dict[str, str]:
    """Remove the worktrees of tasks that are to be removed; commits stay on their branches.

    Returns:
        The tasks that must stay because of what is in theirs, each with the reason.
    """
    stays: dict[str, str] = {}
    for task_id in ids:
        async with alone(ctx, task_id):
            async with ctx.db.read() as tx:
                try:
                    task = await get_task(tx, task_id)
                except TaskNotFound:
                    continue
                awaited = await dependents_of(tx, task_id)
            made = task.worktree
            if made is None or made.get("fate") == "removed":
                continue
            if task.state is not State.ENDED or awaited or has_processes(task):
                continue
            if why := await anyio.to_thread.run_sync(_clear, made):
                stays[task_id] = why
                continue
            async with ctx.db.write() as tx:
                await update_task(tx, task_id, worktree={**made, "fate": "removed"})
    return stays


class Settling:
    """Parts with worktrees whenever a run is over, and with those of old tasks once an hour."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._wake = anyio.Event()
        self._expire_at = ctx.mono()

    def wake(self) -> None:
        """Have it look: a run is over, or something was asked for."""
        self._wake.set()

    async def run(self) -> None:
        """Look whenever it is woken. What fails is tried again."""
        await anyio.to_thread.run_sync(self._sweep)
        while True:
            pause_s = EXPIRE_EVERY_S
            self._wake = anyio.Event()
            try:
                await settle(self._ctx)
                await self._expire()
            except LeaseLost:
                raise
            except Exception:
                log.exception("worktrees could not be looked at")
                pause_s = RETRY_S
            with anyio.move_on_after(pause_s):
                await self._wake.wait()

    def _sweep(self) -> None:
        try:
            remove_condemned(worktrees_directory(self._ctx.state_dir))
        except OSError as error:
            log.warning("what is left of removed worktrees could not be removed: %s", error)

    async def _expire(self) -> None:
        if self._ctx.mono() < self._expire_at:
            return
        self._expire_at = self._ctx.mono() + EXPIRE_EVERY_S
        before = self._ctx.wall() - self._ctx.settings.retention.tasks / 1000
        async with self._ctx.db.read() as tx:
            ids = await keepers_of_worktrees(tx, before)
        for task_id, why in (await clear(self._ctx, ids, lambda task: task.leftovers > 0)).items():
            log.info("retention leaves task %s: %s", task_id, why)


@asynccontextmanager
async def alone(ctx: Context, task_id: str) -> AsyncGenerator[None]:
    """Keep everyone else from this task's worktree."""
    lock = ctx.worktree_locks.setdefault(task_id, anyio.Lock())
    try:
        async with lock:
            yield
    finally:
        if not lock.statistics().tasks_waiting:
            ctx.worktree_locks.pop(task_id, None)


def _part_with(made: JSON) -> JSON:
    """Remove a worktree if nothing was changed in it; say what became of it."""
    path = Path(made["path"])
    try:
        remove(Path(made["gitDir"]), path, made["branch"], made["base"])
    except Unsaved as unsaved:
        return {"fate": "kept", "changes": unsaved.what}
    except (GitError, OSError) as error:
        log.warning("worktree %s is kept: %s", path, error)
        return {"fate": "kept", "problem": str(error)}
    return {"fate": "removed"}


def _clear(made: JSON) -> str | None:
    try:
        remove(Path(made["gitDir"]), Path(made["path"]), made["branch"], made["base"], with_commits=True)
    except (Unsaved, GitError, OSError) as error:
        return f"{error}, in {made['path']} (branch {made['branch']})"
    return None
