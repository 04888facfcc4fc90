"""Commands of the fronts, carried out. Each may be begun by one supervisor and finished by the next."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio.to_thread

from claudine_mcp.core.classes import class_of
from claudine_mcp.core.errors import ClaudineError, IllegalTransition, LeaseLost, NotNow, RegistryError
from claudine_mcp.core.evidence import Judgement
from claudine_mcp.core.models import JSON, Command, CommandKind, Kind, Priority, Task
from claudine_mcp.core.paths import task_directory
from claudine_mcp.core.states import ACTIVE, Outcome, State, Trigger
from claudine_mcp.core.units import format_time
from claudine_mcp.registry.commands import finish_command, set_override, take_command
from claudine_mcp.registry.database import DiskFull, Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.tasks import delete_task, dependents_of, get_task, move, update_task
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.checkpoints import Checkpoints
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.controls import Controls
from claudine_mcp.supervisor.conversation import Conversation
from claudine_mcp.supervisor.hibernation import Hibernation
from claudine_mcp.supervisor.learning import Learning
from claudine_mcp.supervisor.pausing import Pausing
from claudine_mcp.supervisor.reserving import Reserving
from claudine_mcp.supervisor.restoring import Restoring
from claudine_mcp.supervisor.saving import Saving
from claudine_mcp.supervisor.watcher import Watcher
from claudine_mcp.supervisor.worktrees import clear
from claudine_mcp.workloads.claude_sessions import GO_ON_WITH, spec_without_what_was_heard

log = logging.getLogger(__name__)

IN_TURN = frozenset({CommandKind.SUSPEND, CommandKind.RESUME, CommandKind.HIBERNATE, CommandKind.RESTORE})
"""What stops a task's tree or lets it go on, and what needs it to stay at rest meanwhile."""
UPDATABLE = frozenset({"name", "priority", "labels", "not_before"})


class Orders:
    """Carries out commands.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.
        learning: what forgets what was learnt.
    """

    def __init__(self, ctx: Context, watchers: Mapping[str, Watcher], learning: Learning) -> None:
        self._ctx = ctx
        self._watchers = watchers
        self.conversation = conversation = Conversation(ctx, watchers)
        self.controls = controls = Controls(ctx, watchers)
        self.checkpoints = checkpoints = Checkpoints(ctx)
        self.reserving = Reserving(ctx)
        self._under_way: set[str] = set()
        self._found_full: DiskFull | None = None
        self.hibernation = hibernation = Hibernation(ctx, watchers, controls.resume)
        controls.saving = hibernation.saving = Saving(ctx, checkpoints)
        self._by_kind: dict[CommandKind, Callable[[Command], Awaitable[None]]] = {
            CommandKind.CANCEL: self._cancel,
            CommandKind.RETRY: self._retry,
            CommandKind.UPDATE: self._update,
            CommandKind.REMOVE: self._remove,
            CommandKind.CONFIGURE: self._configure,
            CommandKind.SEND: conversation.send,
            CommandKind.ASK: conversation.ask,
            CommandKind.WITHDRAW: conversation.withdraw,
            CommandKind.ANSWER: conversation.answer,
            CommandKind.SUSPEND: controls.suspend,
            CommandKind.CHECKPOINT: checkpoints.checkpoint,
            CommandKind.HIBERNATE: hibernation.hibernate,
            CommandKind.RESUME: hibernation.resume,
            CommandKind.FORGET: learning.forget,
            CommandKind.RESTORE: Restoring(ctx, watchers, checkpoints).restore,
            CommandKind.PAUSE: Pausing(ctx).pause,
            CommandKind.RESERVE: self.reserving.reserve,
        }

    async def carry_out(self, command: Command) -> None:
        """Take the next step of a command; what is wrong with it becomes its result.

        What makes a checkpoint first takes its time, and is done beside others, but one after the other for each task.

        Raises:
            RegistryError: the registry cannot be written; the step is taken again.
        """
        if self._found_full is not None:
            error, self._found_full = self._found_full, None
            raise error
        task_id, group = command.task_id or "", self.checkpoints.group
        if task_id in self._under_way and (command.kind in IN_TURN or command.kind is CommandKind.RETRY):
            return  # a run must not begin while its files are put back
        if command.kind not in IN_TURN or group is None:
            await self._attend(command)
        else:
            self._under_way.add(task_id)
            group.start_soon(self._attend_beside, task_id, command)

    async def _attend_beside(self, task_id: str, command: Command) -> None:
        try:
            await self._attend(command)
        except DiskFull as error:
            self._found_full = error
        finally:
            self._under_way.discard(task_id)
            self._ctx.admission_due = True

    async def _attend(self, command: Command) -> None:
        try:
            await self._step(command)
        except IllegalTransition:
            pass  # the task has just moved on; the next pass sees where to
        except (LeaseLost, RegistryError):
            raise
        except Exception:
            # A mistake of ours must not become a supervisor that dies of the same command for ever.
            log.exception("command %s (%s) failed", command.id, command.kind)
            await self._give_up(command)

    async def _step(self, command: Command) -> None:
        try:
            await self._by_kind[command.kind](command)
        except (NotNow, LookupError, ValueError) as error:
            if not isinstance(error, ClaudineError):
                raise
            async with self._ctx.db.write() as tx:
                await self._finish(tx, command, {"error": str(error)})

    async def _give_up(self, command: Command) -> None:
        """Answer a command that failed for a reason that is no fault of whoever asked."""
        async with self._ctx.db.write() as tx:
            text = f"{command.kind} failed inside the supervisor; its log (supervisor.log) says where"
            await self._finish(tx, command, {"error": text})

    async def _finish(self, tx: Transaction, command: Command, result: JSON) -> None:
        await finish_command(tx, command.id, result, self._ctx.wall())

    async def _cancel(self, command: Command) -> None:
        task = await self._task(command)
        watcher = self._watchers.get(f"{task.id}.{task.run}")
        if task.state is State.STOPPING and command.taken_at is not None:
            return  # begun, perhaps by a supervisor before this one; the watcher finishes it
        if task.state in ACTIVE and watcher is not None and not watcher.to_launch:
            await watcher.step()  # what has already happened is true, whoever asks for something else now
            task = await self._task(command)
        now = self._ctx.wall()
        reason = cancel_reason(command)
        async with self._ctx.db.write() as tx:
            if task.state in {State.QUEUED, State.HIBERNATED}:
                judgement = Judgement(Outcome.CANCELLED, reason)
                await move(
                    tx,
                    task,
                    Trigger.CANCEL,
                    announce.ended(task, judgement, now),
                    outcome=judgement.outcome,
                    reason=reason,
                    ended_at=now,
                    hold=None,
                    stopped=None,
                )
                result: JSON = {
                    "changed": True,
                    "outcome": Outcome.CANCELLED,
                    "reason": reason,
                    "stopped": {},
                }
                await self._finish(tx, command, result)
            elif task.state is State.STOPPING:
                await self._finish(tx, command, {"changed": False, "reason": "it is being stopped already"})
            elif task.state is State.ENDED:
                await self._cancel_ended(tx, command, task, watcher)
            else:
                await move(tx, task, Trigger.CANCEL, None, reason=reason)
                await take_command(tx, command, now)
        self._ctx.trace("cancel-committed")
        if watcher is not None:
            watcher.wake.set()

    async def _cancel_ended(
        self, tx: Transaction, command: Command, task: Task, watcher: Watcher | None
    ) -> None:
        if watcher is not None and (command.taken_at is not None or watcher.seen.tree()):
            await take_command(tx, command, self._ctx.wall())
            watcher.begin_stop()  # which finishes the command when nothing is left
            return
        if command.taken_at is not None:  # a supervisor before this one was at it, and it is done
            already: JSON = {"changed": True, "outcome": task.outcome, "stopped": {}}
            await self._finish(tx, command, already)
            return
        result = {
            "changed": False,
            "outcome": task.outcome,
            "reason": f"it has ended already ({task.outcome}: {task.reason}); nothing of it is left running",
        }
        await self._finish(tx, command, result)

    async def _retry(self, command: Command) -> None:
        task = await self._task(command)
        now = self._ctx.wall()
        if task.state is not State.ENDED:
            raise NotNow(f"task {task.id} is {task.state}; only a task that has ended can be retried")
        session = retried_session(task, command.args.get("mode"))
        async with self._ctx.db.write() as tx:
            event = announce.requeued(task, "it was asked to run again", now)
            await move(
                tx,
                task,
                Trigger.RETRY,
                event,
                **session,
                outcome=None,
                reason=None,
                exit_code=None,
                signal=None,
                killed_for_memory=0,
                started_at=None,
                ended_at=None,
                stopped=None,
                resumes=0,
                queued_at=now,
                supervised=1,
                leftovers=0,
            )
            await self._finish(tx, command, {"changed": True})

    async def _update(self, command: Command) -> None:
        task = await self._task(command)
        columns = {name: value for name, value in command.args.items() if name in UPDATABLE}
        if "not_before" in columns and task.state is not State.QUEUED:
            raise NotNow(
                f"notBefore: task {task.id} is {task.state}, not queued; it has no start to wait for"
            )
        if "priority" in columns:
            columns["priority"] = Priority(columns["priority"])
        if "labels" in columns:
            columns["class_key"] = class_of(task.kind, task.cwd, task.spec, columns["labels"]).key
        if "timeout" in command.args:
            columns["spec"] = {**task.spec, "timeout": command.args["timeout"]}
        async with self._ctx.db.write() as tx:
            await update_task(tx, task.id, **columns)
            await self._finish(tx, command, {"changed": True})
        watcher = self._watchers.get(f"{task.id}.{task.run}")
        if watcher is not None:
            watcher.wake.set()

    async def _remove(self, command: Command) -> None:
        """Remove rows, then files, then answer; what was decided is kept, so that the next one can go on."""
        if command.taken_at is None:
            command = await self._decide_removal(command)
        plan: JSON = command.args["plan"]
        for task_id in plan["removed"]:
            folder = task_directory(self._ctx.state_dir, task_id)
            await anyio.to_thread.run_sync(lambda path=folder: shutil.rmtree(path, ignore_errors=True))
        self._ctx.refs_due = True
        async with self._ctx.db.write() as tx:
            await self._finish(tx, command, plan)

    async def _decide_removal(self, command: Command) -> Command:
        removed: list[str] = []
        kept: dict[str, str] = {}
        wanted: list[str] = command.args["taskIds"]
        stays = await clear(self._ctx, wanted, self._has_processes)
        async with self._ctx.db.write() as tx:
            for task_id in wanted:
                task = await get_task(tx, task_id)
                waiting = await dependents_of(tx, task.id)
                if task.state is not State.ENDED:
                    kept[task.id] = f"it is {task.state}"
                elif waiting:
                    kept[task.id] = f"task {waiting[0]} waits for it"
                elif self._has_processes(task):
                    kept[task.id] = "processes that it started still run; CancelTask ends them"
                elif task.id in stays:
                    kept[task.id] = stays[task.id]
                else:
                    await delete_task(tx, task.id)
                    removed.append(task.id)
            args = {**command.args, "plan": {"removed": removed, "kept": kept}}
            await take_command(tx, command, self._ctx.wall(), args=args)
        self._ctx.trace("removal-decided")
        return replace(command, args=args, taken_at=self._ctx.wall())

    def _has_processes(self, task: Task) -> bool:
        watcher = self._watchers.get(f"{task.id}.{task.run}")
        return watcher is not None and bool(watcher.seen.tree())

    async def _configure(self, command: Command) -> None:
        values: dict[str, Any] = command.args["values"]
        async with self._ctx.db.write() as tx:
            for key, value in values.items():
                await set_override(tx, command.args["scope"], key, value, self._ctx.wall())
            await add_event(tx, announce.configured(command.task_id, values, self._ctx.wall()))
            await self._finish(tx, command, {"changed": True})

    async def _task(self, command: Command) -> Task:
        async with self._ctx.db.read() as tx:
            return await get_task(tx, command.task_id or "")


def retried_session(task: Task, mode: str | None) -> JSON:
    """Give the columns to set so that a retried Claude Code goes on in its session, or begins a new one."""
    if task.kind is not Kind.CLAUDE:
        return {}
    if mode != "fresh":
        return {"spec": spec_without_what_was_heard(task)}
    session = str(uuid.uuid4())
    spec = {**task.spec, "sessionId": session, "sessionFromRun": task.run + 1}
    spec.pop(GO_ON_WITH, None)
    spec.pop("resume", None)
    return {"session_id": session, "spec": spec, "seen": None}


def cancel_reason(command: Command) -> str:
    """Say who cancelled, and why, if a reason was given."""
    by = command.origin.get("by", "the user")
    said = command.args.get("reason")
    return f"cancelled by {by}" + (f": {said}" if said else f" at {format_time(command.created_at)}")
