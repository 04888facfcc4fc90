"""Checkpoints of tasks: made when asked for, before interventions, at intervals, and at the end of a run.

What is kept of a task is a row; what is kept of its work tree, a commit under a ref of ours. The ref comes first:
one without a row is what a crash has left, and goes with the next sweep.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import anyio.abc
import anyio.to_thread

from claudine_mcp.core.errors import ClaudineError, NotNow
from claudine_mcp.core.ids import new_id
from claudine_mcp.core.models import JSON, Checkpoint, Command, Kind, Task
from claudine_mcp.core.paths import run_directory, task_directory
from claudine_mcp.core.worktree import working_folder
from claudine_mcp.host.files import regular_bytes
from claudine_mcp.registry.checkpoints import add_checkpoint, checkpoints_of, delete_checkpoint
from claudine_mcp.registry.commands import finish_command, take_command
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.tasks import get_task
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.context import Context
from claudine_mcp.workloads.claude_sessions import transcript_of

if TYPE_CHECKING:
    from claudine_mcp.host.snapshots import Snapshot

log = logging.getLogger(__name__)

T = TypeVar("T")

USER, INTERVAL, END = "user", "interval", "end"
AT_ONCE: Final = 4
"""Work trees that are looked at at the same time."""
MAX_LEFT: Final = 50
"""Files that are named as not stored; of more the number is told."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A checkpoint that is to be made; `command` is answered with it."""

    task: Task
    cause: str
    label: str | None
    id: str
    command: Command | None = None


class Checkpoints:
    """Makes checkpoints, and thins them.

    Args:
        ctx: the supervisor's surroundings.

    Attributes:
        making: ids of those that are being made, whose refs may be there without a row.
        gate: held by who must not have one begun meanwhile.
        group: where commands are carried out; None: by whoever calls.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._one_a_folder: dict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._threads = anyio.CapacityLimiter(AT_ONCE)
        self._carried_out: set[str] = set()
        self.making: set[str] = set()
        self.gate = anyio.Lock()
        self.group: anyio.abc.TaskGroup | None = None

    async def make(
        self, task: Task, cause: str, *, label: str | None = None, checkpoint_id: str | None = None
    ) -> Checkpoint:
        """Keep what a task has come to.

        Where its work tree cannot be kept, the checkpoint says why; only what the user asked for is refused then.

        Args:
            task: which; the row as it is now counts.
            cause: "user", "interval", "end", or what it is made before, like "before suspend".
            label: the user's word for it.
            checkpoint_id: of one that a supervisor before this one may have begun.

        Raises:
            GitLocked: the user asked for it, and another git is at work there.
            GitError: the user asked for it, and git failed.
            TaskNotFound: the task was removed meanwhile.
        """
        return await self._make(_Plan(task, cause, label, checkpoint_id or new_id()))

    async def make_if_changed(self, task: Task, cause: str) -> Checkpoint | None:
        """Keep what a task has come to, unless its newest checkpoint says the same."""
        async with self._ctx.db.read() as tx:
            known = await checkpoints_of(tx, task.id)
        plan = _Plan(task, cause, None, new_id())
        return await self._make_unless(known[-1], plan) if known else await self._make(plan)

    def alone_in(self, task: Task) -> anyio.Lock:
        """Give what is held by who works on a task's work tree."""
        return self._one_a_folder[str(working_folder(task))]

    async def checkpoint(self, command: Command) -> None:
        """Begin to carry out CHECKPOINT, or go on with it.

        Raises:
            NotNow: nothing of the task has begun.
            TaskNotFound: there is no such task any more.
        """
        if command.id in self._carried_out:
            return
        async with self._ctx.db.read() as tx:
            task = await get_task(tx, command.task_id or "")
        if task.run == 0:
            raise NotNow(f"task {task.id} is {task.state} and has not begun; there is nothing to keep yet")
        if command.taken_at is None:
            async with self._ctx.db.write() as tx:
                await take_command(tx, command, self._ctx.wall())
            self._ctx.trace("checkpoint-taken")
        if self.group is None:
            await self._carry_out(task, command)
        else:
            self._carried_out.add(command.id)
            self.group.start_soon(self._carry_out, task, command)

    async def _carry_out(self, task: Task, command: Command) -> None:
        args = command.args
        try:
            await self._make(_Plan(task, USER, args.get("label"), args["checkpointId"], command))
        except (ClaudineError, OSError) as error:
            async with self._ctx.db.write() as tx:
                await finish_command(tx, command.id, {"error": str(error)}, self._ctx.wall())
        finally:
            self._carried_out.discard(command.id)

    async def _make(self, plan: _Plan) -> Checkpoint:
        async with self._begun(plan):
            traces = await self._in_thread(traces_of, self._ctx.state_dir, plan.task)
            tree, why = await self._snapshot(plan, None)
            return await self._store(plan, traces, tree, why)

    async def _make_unless(self, before: Checkpoint, plan: _Plan) -> Checkpoint | None:
        async with self._begun(plan):
            traces = await self._in_thread(traces_of, self._ctx.state_dir, plan.task)
            is_same = before.state is plan.task.state and same_traces(before, traces)
            tree, why = await self._snapshot(plan, before.commit_id if is_same else None)
            if is_same and before.commit_id == (None if tree is None else tree.commit):
                return None
            return await self._store(plan, traces, tree, why)

    @asynccontextmanager
    async def _begun(self, plan: _Plan) -> AsyncGenerator[None]:
        """Have no sweep take the ref for one without a row, and none but this look at the work tree."""
        async with self.gate:
            self.making.add(plan.id)
        try:
            async with self.alone_in(plan.task):
                yield
        finally:
            self.making.discard(plan.id)

    async def _store(self, plan: _Plan, traces: JSON, tree: Snapshot | None, why: str) -> Checkpoint:
        """Write the row, and with it the event and the command's result; then thin what is older."""
        ctx, task = self._ctx, plan.task
        ctx.trace("snapshot-made")
        async with ctx.db.write() as tx:
            now = await get_task(tx, task.id)
            made = Checkpoint(
                plan.id,
                task.id,
                task.run,
                ctx.wall(),
                plan.cause,
                now.state,
                plan.label,
                session_id=now.session_id,
                repository=None if tree is None else shown(str(tree.top)),
                ref=None if tree is None else self._ref(plan),
                commit_id=None if tree is None else tree.commit,
                details={**traces, **({"noWorkTree": why} if tree is None else details_of(tree))},
            )
            await add_checkpoint(tx, made)
            await add_event(tx, announce.checkpoint(now, made))
            thinned = (await checkpoints_of(tx, task.id))[: -ctx.settings.retention.checkpoints_per_task]
            for old in thinned:
                await delete_checkpoint(tx, old.id)
            if plan.command is not None:
                await finish_command(tx, plan.command.id, {"checkpointId": made.id}, ctx.wall())
        ctx.trace("checkpoint-committed")
        await self._delete_refs(thinned)
        return made

    def _ref(self, plan: _Plan) -> str:
        from claudine_mcp.host.shadow import our_refs  # noqa: PLC0415 - a supervisor may never need git

        return f"{our_refs(self._ctx.state_dir)}{plan.task.id}/{plan.id}"

    async def _snapshot(self, plan: _Plan, unless: str | None) -> tuple[Snapshot | None, str]:
        """Keep a task's work tree; give what was kept, or why it was not."""
        from claudine_mcp.host.snapshots import snapshot  # noqa: PLC0415 - as above
        from claudine_mcp.host.work_trees import NoWorkTree  # noqa: PLC0415

        ctx, task, ref = self._ctx, plan.task, self._ref(plan)
        large_bytes = ctx.settings.limits.max_checkpoint_file

        def take() -> Snapshot:
            return snapshot(
                working_folder(task), ref, state_dir=ctx.state_dir, large_bytes=large_bytes, unless=unless
            )

        try:
            return await self._in_thread(take), ""
        except NoWorkTree as error:
            return None, shown(str(error))
        except (ClaudineError, OSError) as error:
            if plan.cause == USER:
                raise
            log.warning("task %s (%s): its work tree was not kept: %s", task.id, plan.cause, error)
            return None, shown(str(error))

    async def _delete_refs(self, thinned: list[Checkpoint]) -> None:
        from claudine_mcp.host.snapshots import delete_refs  # noqa: PLC0415 - as above

        by_folder: dict[str, list[str]] = defaultdict(list)
        for old in thinned:
            if old.ref is not None and old.repository is not None:
                by_folder[old.repository].append(old.ref)
        for folder, refs in by_folder.items():
            try:
                await self._in_thread(delete_refs, Path(folder), refs)
            except (ClaudineError, OSError) as error:
                log.info("refs of thinned checkpoints in %s stay until the next sweep: %s", folder, error)

    async def _in_thread(self, function: Callable[..., T], *args: Any) -> T:
        return await anyio.to_thread.run_sync(lambda: function(*args), limiter=self._threads)


def traces_of(state_dir: Path, task: Task) -> JSON:
    """Give where the logs of a task's run and the transcript of its session have come to. Blocks."""
    folder = run_directory(state_dir, task.id, task.run)
    found: JSON = {
        "logs": {stream: regular_bytes(folder / f"{stream}.log") for stream in ("stdout", "stderr")}
    }
    if task.kind is Kind.CLAUDE and task.session_id is not None:
        with contextlib.suppress(OSError, ValueError):
            env: Mapping[str, str] = json.loads((task_directory(state_dir, task.id) / "env").read_bytes())
            if (path := transcript_of(env, task.session_id)) is not None:
                found["transcript"] = {"path": shown(str(path)), "bytes": regular_bytes(path)}
    return found


def same_traces(before: Checkpoint, traces: JSON) -> bool:
    """Whether a task has printed and said nothing since."""
    return all(before.details.get(name) == traces.get(name) for name in ("logs", "transcript"))


def details_of(tree: Snapshot) -> JSON:
    """Say what of a work tree matters besides its commit."""
    left = [{"path": shown(item.path), "why": item.why, "bytes": item.bytes} for item in tree.left]
    found: JSON = {"head": tree.head, "branch": None if tree.branch is None else shown(tree.branch)}
    if tree.index_tree is not None:
        found["staged"] = True
    if tree.unmerged:
        found["unmerged"] = [shown(path) for path in tree.unmerged[:MAX_LEFT]]
    if left:
        found["notStored"] = left[:MAX_LEFT]
    if len(left) > MAX_LEFT:
        found["moreNotStored"] = len(left) - MAX_LEFT
    return found


def shown(text: str) -> str:
    """Give a path as text that can be stored: bytes that are no UTF-8 are spelt out."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
