"""A new task that goes on from a checkpoint of another: in a copy of its session, with the files as they were then."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from claudine_mcp.core.errors import NotNow, TaskNotFound
from claudine_mcp.core.models import JSON, Checkpoint, Command, Kind, Task
from claudine_mcp.core.paths import task_directory, worktrees_directory
from claudine_mcp.core.states import State
from claudine_mcp.core.units import format_time
from claudine_mcp.core.worktree import GIT_VARIABLES, working_folder
from claudine_mcp.host.files import write_durable
from claudine_mcp.host.statedir import claim
from claudine_mcp.registry.checkpoints import add_checkpoint, get_checkpoint
from claudine_mcp.registry.commands import finish_command, take_command
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.tasks import get_task, insert_task
from claudine_mcp.supervisor import announce_restoring
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.retention import remove_unclaimed
from claudine_mcp.workloads.claude import SERVERS
from claudine_mcp.workloads.claude_sessions import FORK, GO_ON_WITH, transcript_of

if TYPE_CHECKING:
    from claudine_mcp.host.snapshots import Snapshot

CAUSE: Final = "restored"
MAX_NAME: Final = 200
PROMPT: Final = (
    "Go on with your task from here; look first at what is done, since files may be as they were before."
)
_OWN: Final = ("resume", "continueFrom", "sessionFromRun", GO_ON_WITH, FORK)
"""In a spec: what belongs to the session of the task that is copied."""


class Copying:
    """Makes tasks from checkpoints.

    Args:
        ctx: the supervisor's surroundings.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def copy(self, command: Command) -> None:
        """Queue a new task; its id was chosen when that was asked for.

        The ref and the files come before the row: without one, they are swept.

        Raises:
            NotNow: the task cannot go on from there.
            ClaudineError: git cannot give what is needed.
            OSError: the files of the new task cannot be written.
            CheckpointNotFound: the checkpoint is gone.
            TaskNotFound: the task is gone.
        """
        ctx = self._ctx
        async with ctx.db.read() as tx:
            task = await get_task(tx, command.task_id or "")
            found = await get_checkpoint(tx, command.args["checkpointId"])
        new, files = await anyio.to_thread.run_sync(self._plan, task, found, command)
        if command.taken_at is None:
            async with ctx.db.write() as tx:
                await take_command(tx, command, ctx.wall())
            ctx.trace("restore-taken")
        first = await self._keep(new, found, command)
        ctx.trace("restore-kept")
        lock = await self._claim(new.id)
        try:
            folder = task_directory(ctx.state_dir, new.id)
            for name, content in files.items():
                await anyio.to_thread.run_sync(write_durable, folder / name, content)
            ctx.trace("restore-copied")
            result: JSON = {"changed": True, "taskId": new.id, "worktree": found.ref is not None}
            async with ctx.db.write() as tx:
                await insert_task(tx, new)
                await add_event(tx, announce_restoring.queued_from(new, found))
                if first is not None:
                    await add_checkpoint(tx, first)
                await finish_command(tx, command.id, result, ctx.wall())
        except OSError:
            shutil.rmtree(task_directory(ctx.state_dir, new.id), ignore_errors=True)
            ctx.refs_due = True
            raise
        finally:
            os.close(lock)
        ctx.admission_due = True
        ctx.trace("restore-committed")

    def _plan(self, task: Task, found: Checkpoint, command: Command) -> tuple[Task, dict[str, bytes]]:
        """Give the new task, and the files that go with it. Blocks."""
        args, now = command.args, self._ctx.wall()
        folder = task_directory(self._ctx.state_dir, task.id)
        files = {"env": (folder / "env").read_bytes()}
        if (folder / SERVERS).exists():
            files[SERVERS] = (folder / SERVERS).read_bytes()
        spec = {name: value for name, value in task.spec.items() if name not in _OWN}
        if found.ref is not None:
            spec["worktree"] = _worktree(task, found)
            env: dict[str, str] = json.loads(files["env"])
            kept = {name: value for name, value in env.items() if name not in GIT_VARIABLES}
            files["env"] = json.dumps(kept).encode()
        if task.kind is Kind.CLAUDE:
            spec |= self._session(task, found, command, json.loads(files["env"]))
            files["prompt"] = (args.get("prompt") or PROMPT).encode()
        elif not task.spec.get("restartable"):
            raise NotNow(
                f"task {task.id} is a command that was not declared restartable: a new one would begin again from its "
                "start. RunCommand does that, too, if it is what you want; nothing was changed"
            )
        ending = f" (from checkpoint {found.id})"
        new = Task(
            id=args["newTaskId"],
            kind=task.kind,
            name=task.name[: MAX_NAME - len(ending)] + ending,
            cwd=task.cwd,
            spec=spec,
            priority=task.priority,
            state=State.QUEUED,
            created_at=now,
            queued_at=now,
            labels=task.labels,
            submitter=command.origin,
            session_id=spec.get("sessionId"),
        )
        return new, files

    def _session(self, task: Task, found: Checkpoint, command: Command, env: dict[str, str]) -> JSON:
        """Give what the new task's spec says of its session, a copy of the old one."""
        old, args = found.session_id, command.args
        if old is None or transcript_of(env, old) is None:
            raise NotNow(
                f"the session of task {task.id} ({old}) has no transcript any more, or none yet, so that no other can "
                "begin with it; nothing was changed"
            )
        spent = (task.seen or {}).get("totalCostUsd")
        said: JSON = {
            "sessionId": args["newSessionId"],
            FORK: {"sessionId": old, "costUsd": spent},
            "depth": max(int(task.spec.get("depth", 1)), int(args.get("depth", 1))),
        }
        if found.ref is not None:
            place = worktrees_directory(self._ctx.state_dir) / args["newTaskId"]
            note = (
                f"Your session is a copy of an earlier one. You work in another git worktree now, {place}, with the "
                f"files as they were at {format_time(found.at)}; use no paths of the earlier one."
            )
            before = task.spec.get("appendSystemPrompt")
            said["appendSystemPrompt"] = note if before is None else f"{before}\n\n{note}"
        return said

    async def _keep(self, new: Task, found: Checkpoint, command: Command) -> Checkpoint | None:
        """Have the snapshot kept for the new task, too; give the row of that, None if there is none."""
        if found.ref is None:
            return None
        from claudine_mcp.host.restoring import keep  # noqa: PLC0415 - a supervisor may never restore anything
        from claudine_mcp.host.shadow import our_refs  # noqa: PLC0415

        ref = f"{our_refs(self._ctx.state_dir)}{new.id}/{command.id}"
        git_dir = Path(new.spec["worktree"]["gitDir"])
        await anyio.to_thread.run_sync(partial(keep, git_dir, ref, found.commit_id or ""))
        return replace(
            found,
            id=command.id,
            task_id=new.id,
            run=0,
            at=self._ctx.wall(),
            cause=CAUSE,
            label=None,
            state=State.QUEUED,
            session_id=new.session_id,
            repository=new.spec["worktree"]["repository"],
            ref=ref,
            details={
                name: value for name, value in found.details.items() if name not in {"logs", "transcript"}
            },
        )

    async def _claim(self, task_id: str) -> int:
        folder = task_directory(self._ctx.state_dir, task_id)
        try:
            return await anyio.to_thread.run_sync(claim, folder)
        except FileExistsError:
            async with self._ctx.db.read() as tx:
                try:
                    await get_task(tx, task_id)
                except TaskNotFound:
                    pass
                else:
                    raise NotNow("the id that was chosen is another task's by now; try again") from None
        await remove_unclaimed(self._ctx.state_dir, self._ctx.db)
        return await anyio.to_thread.run_sync(claim, folder)


def _worktree(task: Task, found: Checkpoint) -> JSON:
    """Give what the new task's spec says of its worktree."""
    from claudine_mcp.host.work_trees import find_work_tree  # noqa: PLC0415 - a supervisor may never need git

    before: JSON | None = task.spec.get("worktree")
    place = working_folder(task)
    if before is not None and not place.is_dir():
        place = Path(before["repository"])
    target = target_of(found, place)
    if target.head is None:
        raise NotNow(
            f"checkpoint {found.id} was made before the first commit, and git makes no worktree without one; into "
            '"same-task" puts its files back; nothing was changed'
        )
    note = f"it begins with the files of checkpoint {found.id}; what git ignores is not in it"
    if before is not None:
        kept = {name: before[name] for name in ("repository", "gitDir", "folder")}
    else:
        folder = os.path.relpath(place.resolve(), target.top.resolve())
        kept = {
            "repository": str(target.top),
            "gitDir": str(find_work_tree(target.top).common_dir),
            "folder": "" if folder == "." else folder,
        }
    return {**kept, "base": target.head, "content": target.commit, "note": note}


def target_of(found: Checkpoint, folder: Path) -> Snapshot:
    """Read the snapshot of a checkpoint, by way of a folder of its repository. Blocks.

    Raises:
        SnapshotMissing: its ref is gone, or points elsewhere.
        NoWorkTree: the folder is in no repository.
    """
    from claudine_mcp.host.snapshots import SnapshotMissing, read_snapshot  # noqa: PLC0415 - as above

    ref = found.ref or ""
    target = read_snapshot(folder, ref)
    if target.commit != found.commit_id:
        raise SnapshotMissing(ref, target.top, "it points at another commit now")
    return target
