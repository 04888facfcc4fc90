"""Hibernating and waking: a task's processes go, and with them its memory; the task goes on when it is resumed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from claudine_mcp.core.errors import ClaudineError, InvalidInput, NotNow
from claudine_mcp.core.models import JSON, Command, Kind, Task
from claudine_mcp.core.states import State, Trigger
from claudine_mcp.registry.commands import finish_command, take_command
from claudine_mcp.registry.tasks import get_task, move
from claudine_mcp.supervisor import announce, announce_controls
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.resting import can_rest
from claudine_mcp.supervisor.saving import Saving
from claudine_mcp.supervisor.watcher import Watcher
from claudine_mcp.workloads.claude_sessions import GO_ON_WITH

STOPPABLE: Final = frozenset({State.RUNNING, State.SUSPENDED})
GO_ON: Final = (
    "Go on with your task where it was interrupted. You were put to rest for a while; a call of a tool that this cut "
    "off was not refused, and may be made again."
)
"""Claude Code tells its model of the tool that a SIGINT has ended that the user did not want it (seen with 2.1.328)."""

_WHY_NOT: Final = {
    State.QUEUED: "it has no processes yet; UpdateTask with notBefore puts its start off",
    State.STARTING: "it is just being started; try again in a moment",
    State.HIBERNATING: "that was asked for already",
    State.HIBERNATED: "ResumeTask lets it go on",
    State.STOPPING: "it is being ended",
    State.ENDED: "RetryTask runs it again",
}


class Hibernation:
    """Carries out `hibernate`, and `resume` of what is hibernated.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.
        resume_suspended: carries out `resume` of everything that is not hibernated.

    Attributes:
        saving: makes the checkpoint, if one is to be made.
    """

    def __init__(
        self,
        ctx: Context,
        watchers: Mapping[str, Watcher],
        resume_suspended: Callable[[Command], Awaitable[None]],
    ) -> None:
        self._ctx = ctx
        self._watchers = watchers
        self._resume_suspended = resume_suspended
        self.saving: Saving | None = None

    async def hibernate(self, command: Command) -> None:
        """Take the next step: intent, checkpoint, state; then the watcher ends the tree, and answers.

        Raises:
            NotNow: the task cannot be put to rest; nothing was changed.
        """
        task = await self._task(command)
        if task.state is State.HIBERNATING and command.taken_at is not None:
            return  # begun, perhaps by a supervisor before this one
        watcher = self._watchers.get(f"{task.id}.{task.run}")
        if task.state in STOPPABLE and watcher is not None:
            await watcher.step()  # what has already happened is true, whoever asks for something else now
            task = await self._task(command)
        if task.state not in STOPPABLE or watcher is None:
            raise NotNow(f"task {task.id} is {task.state}, and cannot be hibernated: {why_not(task)}")
        if command.taken_at is None:
            await self._check(task, watcher)
            async with self._ctx.db.write() as tx:
                await take_command(tx, command, self._ctx.wall())
            self._ctx.trace("hibernate-taken")
        saved = await self._save(task, command)
        freed = await self._weigh(task)
        self._ctx.trace("hibernate-saved")
        now = self._ctx.wall()
        stopped: JSON = {**who_and_why(task, command), "at": now, **saved, **freed}
        watcher.only_we_stop_it = True
        async with self._ctx.db.write() as tx:
            await move(tx, task, Trigger.HIBERNATE, None, stopped=stopped, hold=None)
        self._ctx.trace("hibernate-committed")
        watcher.wake.set()

    async def _check(self, task: Task, watcher: Watcher) -> None:
        if not can_rest(task):
            raise NotNow(
                f"task {task.id} is a command that was not declared restartable: it would have to begin again from "
                "the start. SuspendTask stops it and keeps its memory"
            )
        if task.kind is not Kind.CLAUDE:
            return
        if await watcher.has_done_its_work(task):
            raise NotNow(f"task {task.id} has done its work, and is about to end")
        if not await watcher.has_answered(task):
            raise NotNow(
                f"the model has not answered task {task.id} yet, so that it has no session to go on in; try again soon"
            )

    async def _save(self, task: Task, command: Command) -> JSON:
        """Make a checkpoint. One that cannot be made is told of, and is no reason to keep the memory."""
        if self.saving is None:
            return {}
        try:
            checkpoint_id = await self.saving.before(task, command)
        except ClaudineError as error:
            return {"note": f"there is no checkpoint: {error}"}
        return {} if checkpoint_id is None else {"checkpointId": checkpoint_id}

    async def _weigh(self, task: Task) -> JSON:
        run_id = f"{task.id}.{task.run}"
        sample = (await self._ctx.weigh([run_id])).get(run_id)
        if sample is None:
            return {}
        return {"freedBytes": sample.rss_bytes if sample.pss_bytes is None else sample.pss_bytes}

    async def resume(self, command: Command) -> None:
        """Queue a hibernated task, to go on in its session, or from its beginning.

        Raises:
            NotNow: it is neither hibernated nor suspended, or by the user, and the policy asks.
            InvalidInput: it was given a prompt, and is a command, or was only stopped.
        """
        task = await self._task(command)
        prompt: str | None = command.args.get("prompt")
        if task.state is not State.HIBERNATED:
            if prompt is not None and task.state in STOPPABLE:
                raise InvalidInput(
                    "prompt",
                    f"task {task.id} is {task.state}, and goes on where it was stopped",
                    "Give none; SendMessage speaks with it when it goes on.",
                )
            await self._resume_suspended(command)
            return
        if announce_controls.by(command.origin) == "policy" and (task.stopped or {}).get("by") == "user":
            raise NotNow(f"task {task.id} was hibernated by the user, who alone resumes it")
        if prompt is not None and task.kind is not Kind.CLAUDE:
            raise InvalidInput("prompt", f"task {task.id} is a {task.kind}, which reads none", "Give none.")
        spec = task.spec if task.kind is not Kind.CLAUDE else {**task.spec, GO_ON_WITH: prompt or GO_ON}
        now = self._ctx.wall()
        stopped, reason = task.stopped or {}, command.args.get("reason")
        who = f"resumed by {command.origin.get('by', 'the user')}"
        event = announce.requeued(task, f"{who}: {reason}" if reason else who, now)
        async with self._ctx.db.write() as tx:
            await move(
                tx,
                task,
                Trigger.RESUME,
                event,
                spec=spec,
                stopped=None,
                resumes=0,
                started_at=None,
                not_before=None,
                # What had to give way keeps the place that it has waited for.
                queued_at=stopped.get("at", now) if "for" in stopped else now,
                hold=None,
            )
            await finish_command(tx, command.id, {"changed": True, "state": State.QUEUED}, now)
        self._ctx.trace("resume-committed")

    async def _task(self, command: Command) -> Task:
        async with self._ctx.db.read() as tx:
            return await get_task(tx, command.task_id or "")


def why_not(task: Task) -> str:
    """Say why a task in its state cannot be hibernated, or what to do instead."""
    if task.state is State.ENDED:
        return f"{task.outcome}: {task.reason}. {_WHY_NOT[task.state]}"
    return _WHY_NOT.get(task.state, "nobody follows its run yet; try again in a moment")


def who_and_why(task: Task, command: Command) -> JSON:
    """Give who stops a task, and why. What the user had stopped stays stopped by the user."""
    was_users = (task.stopped or {}).get("by") == "user"
    known = announce_controls.who_and_why(command)
    return {**known, "by": "user"} if was_users else known
