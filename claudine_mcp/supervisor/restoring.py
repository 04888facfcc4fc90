"""Restoring a checkpoint: the files of a task's work tree put back, or a new task that goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import anyio.to_thread

from claudine_mcp.core.errors import CheckpointNotFound, ClaudineError, NotNow
from claudine_mcp.core.models import JSON, Checkpoint, Command, Task
from claudine_mcp.core.states import State
from claudine_mcp.core.worktree import working_folder
from claudine_mcp.registry.checkpoints import get_checkpoint
from claudine_mcp.registry.commands import finish_command, take_command
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.tasks import get_task
from claudine_mcp.supervisor import announce_restoring
from claudine_mcp.supervisor.checkpoints import Checkpoints, shown
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.copying import Copying, target_of
from claudine_mcp.supervisor.watcher import Watcher
from claudine_mcp.supervisor.worktrees import alone

if TYPE_CHECKING:
    from claudine_mcp.host.restoring import Step
    from claudine_mcp.host.snapshots import Snapshot

T = TypeVar("T")

SAME_TASK: Final = "same-task"
CAUSE: Final = "before restore"
MAX_LOST: Final = 20
"""Files that are named as what would be lost; of more the number is told."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What it would mean to put a work tree back.

    Attributes:
        target: the checkpoint's snapshot.
        steps: what would be done.
        lost: paths whose content of now no commit of the user's has.
        head_moved: whether another commit is checked out than then.
    """

    target: Snapshot
    steps: list[Step]
    lost: list[str]
    head_moved: bool


class Restoring:
    """Carries out `restore`.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.
        checkpoints: who makes the one that keeps what is there before.
    """

    def __init__(self, ctx: Context, watchers: Mapping[str, Watcher], checkpoints: Checkpoints) -> None:
        self._ctx = ctx
        self._watchers = watchers
        self._checkpoints = checkpoints
        self._copying = Copying(ctx)

    async def restore(self, command: Command) -> None:
        """Take the next step, which is the only one unless a supervisor dies.

        Raises:
            NotNow: it cannot be done; nothing was changed, or what was is named.
            CheckpointNotFound: the checkpoint is gone.
            TaskNotFound: the task is gone.
        """
        if command.args["into"] != SAME_TASK:
            with _refused():
                await self._copying.copy(command)
            return
        async with self._ctx.db.read() as tx:
            task = await get_task(tx, command.task_id or "")
        async with alone(self._ctx, task.id):
            await self._put_back(command)

    async def _put_back(self, command: Command) -> None:
        ctx = self._ctx
        async with ctx.db.read() as tx:
            task = await get_task(tx, command.task_id or "")
        plan: JSON | None = command.args.get("plan")
        if plan is None:
            plan = await self._decide(task, command)
            if plan is None:
                return
            ctx.trace("restore-taken")
        safety = await self._save(task, command)
        ctx.trace("restore-saved")
        files = await self._write(task, plan, safety)
        ctx.trace("restore-written")
        now = ctx.wall()
        event = announce_restoring.restored(
            task, command.args["checkpointId"], made_at=plan["at"], safety=safety, files=files, at=now
        )
        result = {
            "changed": True,
            "files": files,
            "beforeCheckpointId": safety.id,
            "headMoved": plan["headMoved"],
        }
        async with ctx.db.write() as tx:
            await add_event(tx, event)
            await finish_command(tx, command.id, result, now)
        ctx.trace("restore-committed")

    async def _decide(self, task: Task, command: Command) -> JSON | None:
        """Write down what will be done; None if that is nothing, or has to be confirmed, which is the answer then."""
        ctx = self._ctx
        async with ctx.db.read() as tx:
            found = await get_checkpoint(tx, command.args["checkpointId"])
        self._check(task, found)
        with _refused():
            async with self._checkpoints.alone_in(task):
                look = await _in_thread(lambda: self._look(task, found))
        result: JSON = {"changed": False, "files": len(look.steps), "headMoved": look.head_moved}
        if look.lost and not command.args.get("confirm"):
            result["wouldLose"] = [shown(path) for path in look.lost[:MAX_LOST]]
            result["moreWouldLose"] = max(0, len(look.lost) - MAX_LOST)
        elif look.steps:
            plan: JSON = {"commit": found.commit_id, "at": found.at, "headMoved": look.head_moved}
            async with ctx.db.write() as tx:
                await take_command(tx, command, ctx.wall(), args={**command.args, "plan": plan})
            return plan
        async with ctx.db.write() as tx:
            await finish_command(tx, command.id, result, ctx.wall())
        return None

    def _check(self, task: Task, found: Checkpoint) -> None:
        if task.state not in {State.ENDED, State.HIBERNATED}:
            raise NotNow(
                f"task {task.id} is {task.state}, and works on these files, or is about to. HibernateTask or "
                "CancelTask puts it to rest (to suspend it is not enough); or restore into a new task"
            )
        watcher = self._watchers.get(f"{task.id}.{task.run}")
        if watcher is not None and watcher.seen.tree():
            raise NotNow(f"processes that task {task.id} started still run; CancelTask ends them")
        if found.ref is None:
            why = found.details.get("noWorkTree", "it was not asked for")
            raise NotNow(f"checkpoint {found.id} has no work tree to put back ({why})")
        if (task.worktree or {}).get("fate") == "removed":
            raise NotNow(
                f"the worktree of task {task.id} was removed when nothing was left to do in it; restore into a new task"
            )

    def _look(self, task: Task, found: Checkpoint) -> _Look:
        from claudine_mcp.host.restoring import (  # noqa: PLC0415 - a supervisor may never restore anything
            in_the_way,
            steps_between,
            would_lose,
        )
        from claudine_mcp.host.snapshots import snapshot  # noqa: PLC0415 - as above

        target = target_of(found, working_folder(task))
        if shown(str(target.top)) != found.repository:
            raise NotNow(
                f"task {task.id} worked in {found.repository} at the checkpoint, and its folder is in {target.top} "
                "now; restore into a new task"
            )
        large_bytes = self._ctx.settings.limits.max_checkpoint_file
        before = snapshot(target.top, None, state_dir=self._ctx.state_dir, large_bytes=large_bytes)
        steps = steps_between(before, target)
        ignored = [f"{path} (git ignores it, and no checkpoint has it)" for path in in_the_way(before, steps)]
        return _Look(target, steps, would_lose(before, steps) + ignored, before.head != target.head)

    async def _save(self, task: Task, command: Command) -> Checkpoint:
        """Keep what is there, under the command's own id, so that whoever carries it out again finds it.

        Raises:
            NotNow: it cannot be kept; nothing was changed.
        """
        try:
            async with self._ctx.db.read() as tx:
                made = await get_checkpoint(tx, command.id)
        except CheckpointNotFound:
            made = await self._checkpoints.make(task, CAUSE, checkpoint_id=command.id)
        else:  # somebody may have worked there since the supervisor died that had begun this
            await self._checkpoints.make_if_changed(task, CAUSE)
        if made.ref is None:
            why = made.details.get("noWorkTree")
            raise NotNow(f"what is there now could not be kept, so that nothing was changed: {why}")
        return made

    async def _write(self, task: Task, plan: JSON, safety: Checkpoint) -> int:
        """Make the work tree as the checkpoint has it; give how many files that has changed."""
        from claudine_mcp.host.git import GitError  # noqa: PLC0415 - as above
        from claudine_mcp.host.restoring import carry_out, steps_between  # noqa: PLC0415
        from claudine_mcp.host.snapshots import read_snapshot  # noqa: PLC0415

        def write() -> int:
            target = read_snapshot(working_folder(task), plan["commit"])
            steps = steps_between(read_snapshot(target.top, safety.commit_id or ""), target)
            carry_out(steps, target, state_dir=self._ctx.state_dir)
            return len(steps)

        try:
            async with self._checkpoints.alone_in(task):
                return await _in_thread(write)
        except (GitError, OSError) as error:
            raise NotNow(
                f"it stopped in the middle: {error}. To ask for it again is safe; what was there before is checkpoint "
                f"{safety.id}"
            ) from error
        except ClaudineError as error:
            raise NotNow(str(error)) from error


@contextmanager
def _refused() -> Generator[None]:
    """Have what git or the disk refuses be the answer."""
    from claudine_mcp.host.git import GitError  # noqa: PLC0415 - as above
    from claudine_mcp.host.snapshots import SnapshotMissing  # noqa: PLC0415
    from claudine_mcp.host.work_trees import GitLocked, NoWorkTree  # noqa: PLC0415

    try:
        yield
    except (GitError, GitLocked, NoWorkTree, SnapshotMissing, OSError) as error:
        said = str(error)
        raise NotNow(said if "othing was changed" in said else f"{said}; nothing was changed") from error


async def _in_thread(function: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(function)
