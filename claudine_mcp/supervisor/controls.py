"""Suspending and resuming: commands, and what others do to a tree that is suspended.

The order of the steps is such that a supervisor that dies leaves one of two things behind: an open command, which the
next one carries out again from its beginning, or its result. What is done twice does no harm: a stopped process can be
stopped again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

import anyio

from claudine_mcp.core.alerts import Passed
from claudine_mcp.core.errors import ClaudineError, IllegalTransition, NotNow
from claudine_mcp.core.models import JSON, Command, CommandKind, Task
from claudine_mcp.core.states import ACTIVE, State, Trigger
from claudine_mcp.core.units import human_duration
from claudine_mcp.host.suspending import Resumer, Standing, Suspender, standing
from claudine_mcp.registry.alerts import clear_alerts
from claudine_mcp.registry.commands import finish_command, open_commands, take_command
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.tasks import get_task, move, update_run, update_task
from claudine_mcp.supervisor import announce_controls as announce
from claudine_mcp.supervisor.context import Context, Tick
from claudine_mcp.supervisor.saving import Saving
from claudine_mcp.supervisor.watcher import Watcher

log = logging.getLogger(__name__)

STOP_WITHIN_S: Final = 5.0
"""A process must have its turn before it can stop: on a machine that swaps, not at once."""
COME_OUT_WITHIN_S: Final = 0.5
"""How long the answer waits for processes that are inside the kernel; they stop when they come out."""
PRESS_EVERY_S: Final = 0.003
PARTLY_TICKS: Final = 2
"""Ticks that a suspended tree must be seen to run in part: SIGCONT may be on its way from one process to the next."""
KINDS: Final = frozenset({CommandKind.SUSPEND, CommandKind.RESUME, CommandKind.HIBERNATE})
_NAMED: Final = 5


class Controls:
    """Carries out `suspend` and `resume`, and sees to it that what is suspended stays so.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.

    Attributes:
        saving: makes the checkpoints that belong to suspensions, if any are to be made.
    """

    def __init__(self, ctx: Context, watchers: Mapping[str, Watcher]) -> None:
        self._ctx = ctx
        self._watchers = watchers
        self.saving: Saving | None = None
        self._signalling = anyio.Lock()
        self._partly: dict[str, int] = {}

    async def suspend(self, command: Command) -> None:
        """Stop a running task's whole tree, and say so; a tree that cannot be stopped goes on."""
        task, watcher = await self._up_to_date(command)
        if task.state is State.STARTING:
            return  # in a moment it runs, and this comes again
        if task.state is State.SUSPENDED:
            await self._suspend_again(command, task)
            return
        if task.state is not State.RUNNING or watcher is None:
            if command.taken_at is not None and watcher is not None:
                Resumer(watcher.seen.tree).press()  # what a supervisor before this one had stopped of it
            raise NotNow(cannot_suspend(task))
        if command.taken_at is None:
            async with self._ctx.db.write() as tx:
                await take_command(tx, command, self._ctx.wall())
            self._ctx.trace("suspend-taken")
        is_ours = announce.by(command.origin) == "policy"
        if is_ours:
            await self._save(task, command)
        began = self._ctx.mono()
        async with self._signalling:
            held = await self._stop(watcher)
            if held.running:
                await self._let_go_on(watcher)
                raise NotNow(f"task {task.id} goes on: {unstoppable(held)}")
            if not held.count:
                watcher.wake.set()  # it has just ended, which the next pass sees
                return
            took_s = self._ctx.mono() - began
            result = {
                "changed": True,
                "processes": held.count,
                "waiting": len(held.waiting),
                "tookSeconds": round(took_s, 3),
            }
            await self._commit_suspended(command, task, watcher, result)
        self._ctx.trace("suspend-committed")
        watcher.wake.set()
        if not is_ours and self.saving is not None:
            # After the answer, for which a user waits: what stands still changes nothing.
            await self.saving.soon(task, command)

    async def _save(self, task: Task, command: Command) -> None:
        """Keep what the task has come to; where that fails, the machine's need of this is no smaller."""
        if self.saving is None:
            return
        try:
            await self.saving.before(task, command)
        except ClaudineError as error:
            log.warning("task %s is suspended without a checkpoint: %s", task.id, error)

    async def _commit_suspended(self, command: Command, task: Task, watcher: Watcher, result: JSON) -> None:
        now = self._ctx.wall()
        stopped = {**announce.who_and_why(command), "at": now}
        try:
            async with self._ctx.db.write() as tx:
                told = announce.suspended(task, watcher.run, stopped, command.origin, result["processes"])
                await move(tx, task, Trigger.SUSPEND, told, stopped=stopped)
                await finish_command(tx, command.id, result, now)
        except IllegalTransition:
            await self._let_go_on(watcher)  # it ended meanwhile, and what it left must not stay stopped
            raise
        watcher.suspended()

    async def _suspend_again(self, command: Command, task: Task) -> None:
        """A user may make a suspension of the policy theirs, so that no policy ends it."""
        stopped = task.stopped or {}
        if stopped.get("by") == "user" or announce.by(command.origin) != "user":
            raise NotNow(cannot_suspend(task))
        mine = {**stopped, "by": "user", "why": command.args.get("reason") or stopped.get("why")}
        now = self._ctx.wall()
        async with self._ctx.db.write() as tx:
            await update_task(tx, task.id, stopped=mine)
            await clear_alerts(
                tx, Passed(task.id, announce.SUSPENDED), now
            )  # there is nothing to decide any more
            result = {"changed": False, "reason": "it was suspended already"}
            await finish_command(tx, command.id, result, now)

    async def resume(self, command: Command) -> None:
        """Let a suspended tree go on, or one that someone else has stopped."""
        task, watcher = await self._up_to_date(command)
        begun = command.taken_at is not None
        if begun and task.state not in ACTIVE:
            await self._finish(command, {"changed": True, "processes": 0, "tookSeconds": 0.0})
            return
        is_stopped_by_other = (
            task.state is State.RUNNING
            and watcher is not None
            and bool(begun or standing(watcher.seen.tree()).stopped)
        )
        if watcher is None or not (task.state is State.SUSPENDED or is_stopped_by_other):
            raise NotNow(cannot_resume(task))
        if announce.by(command.origin) == "policy" and (task.stopped or {}).get("by") == "user":
            raise NotNow(f"task {task.id} was suspended by the user, who alone resumes it")
        if not begun:
            async with self._ctx.db.write() as tx:
                await take_command(tx, command, self._ctx.wall())
            self._ctx.trace("resume-taken")
        began = self._ctx.mono()
        async with self._signalling:
            processes = await self._let_go_on(watcher)
            self._ctx.trace("resume-signalled")
            suspended_s = watcher.suspended_for_s()
            result: JSON = {
                "changed": True,
                "processes": processes,
                "suspendedSeconds": round(suspended_s, 3),
                "tookSeconds": round(self._ctx.mono() - began, 3),
            }
            async with self._ctx.db.write() as tx:
                if task.state is State.SUSPENDED:
                    await self._resumed(tx, task, watcher, command, suspended_s)
                else:
                    now = self._ctx.wall()
                    told = announce.resumed(task, watcher.run, command.origin, None, now)
                    await add_event(tx, told)
                await finish_command(tx, command.id, result, self._ctx.wall())
            if task.state is State.SUSPENDED:
                watcher.resumed(suspended_s)
        self._ctx.trace("resume-committed")
        watcher.wake.set()

    async def _resumed(
        self, tx: Transaction, task: Task, watcher: Watcher, command: Command | None, suspended_s: float
    ) -> None:
        """Write down that a task goes on; None: someone else has seen to that."""
        now = self._ctx.wall()
        origin: JSON = {"by": "someone else (SIGCONT)", "other": True} if command is None else command.origin
        why: str | None = None if command is None else command.args.get("reason")
        told = announce.resumed(task, watcher.run, origin, suspended_s, now, why=why)
        await move(tx, task, Trigger.RESUME, told, stopped=None)
        total_s = watcher.run.suspended_s + suspended_s
        await update_run(tx, watcher.run, suspended_s=total_s, resumed_at=now)

    # -- what others do ---------------------------------------------------------------------------------

    async def judge(self, tick: Tick) -> None:
        """See that what is suspended stands still: what someone else continued is running; in part, it is stopped."""
        for run_id, watcher in list(self._watchers.items()):
            sample = tick.runs.get(run_id)
            is_still = sample is None or sample.stopped >= sample.processes
            if watcher.suspended_since is None or is_still:
                self._partly.pop(run_id, None)
                continue
            async with self._signalling:
                await self._look_closer(watcher)

    async def _look_closer(self, watcher: Watcher) -> None:
        run_id = watcher.run.id
        async with self._ctx.db.read() as tx:
            task = await get_task(tx, watcher.task_id)
            pending = await open_commands(tx)
        is_ours = any(item.task_id == task.id and item.kind in KINDS for item in pending)
        if is_ours or task.state is not State.SUSPENDED or watcher.suspended_since is None:
            return
        held = standing(watcher.seen.tree())
        if not held.running:
            self._partly.pop(run_id, None)
            return
        if held.stopped or held.waiting:
            self._partly[run_id] = self._partly.get(run_id, 0) + 1
            if self._partly[run_id] >= PARTLY_TICKS:
                log.info(
                    "run %s is suspended, and %d of its processes ran: stopped", run_id, len(held.running)
                )
                await self._stop(watcher)
            return
        suspended_s = watcher.suspended_for_s()
        async with self._ctx.db.write() as tx:
            await self._resumed(tx, task, watcher, None, suspended_s)
        watcher.resumed(suspended_s)
        watcher.wake.set()

    # -- signals ----------------------------------------------------------------------------------------

    async def _stop(self, watcher: Watcher) -> Standing:
        """Stop the tree; give how it stands when it is stopped, or the time for that is over."""
        suspender = Suspender(watcher.seen.tree)
        began = self._ctx.mono()
        while True:
            held = suspender.press()
            passed_s = self._ctx.mono() - began
            within_s = STOP_WITHIN_S if held.running else COME_OUT_WITHIN_S if held.waiting else 0.0
            if passed_s >= within_s:
                self._ctx.trace("suspend-signalled")
                return held
            await anyio.sleep(PRESS_EVERY_S)

    async def _let_go_on(self, watcher: Watcher) -> int:
        """Continue the tree; give how many processes were."""
        resumer = Resumer(watcher.seen.tree)
        began = self._ctx.mono()
        while True:
            if not resumer.press().stopped or self._ctx.mono() - began >= COME_OUT_WITHIN_S:
                return len(resumer.reached)
            await anyio.sleep(PRESS_EVERY_S)

    async def _finish(self, command: Command, result: JSON) -> None:
        async with self._ctx.db.write() as tx:
            await finish_command(tx, command.id, result, self._ctx.wall())

    async def _up_to_date(self, command: Command) -> tuple[Task, Watcher | None]:
        """Give the task, and who follows its run, after what has already happened is written down."""
        task = await self._task(command)
        watcher = self._watchers.get(f"{task.id}.{task.run}")
        if task.state in ACTIVE and watcher is not None and not watcher.to_launch:
            await watcher.step()
            task = await self._task(command)
        return task, watcher

    async def _task(self, command: Command) -> Task:
        async with self._ctx.db.read() as tx:
            return await get_task(tx, command.task_id or "")


def cannot_suspend(task: Task) -> str:
    """Say why a task cannot be suspended, and what can be done instead."""
    instead = {
        State.QUEUED: "UpdateTask with notBefore puts its start off, CancelTask ends it",
        State.SUSPENDED: "ResumeTask lets it go on",
        State.HIBERNATING: "it is being saved, and has no process then",
        State.HIBERNATED: "it has no process that could be stopped; ResumeTask lets it go on",
        State.STOPPING: "it is being ended",
        State.ENDED: f"it has no process that could be stopped ({task.outcome}: {task.reason})",
    }.get(task.state, "its processes are not followed yet")
    return f"task {task.id} is {task.state}; only a running task can be suspended: {instead}"


def cannot_resume(task: Task) -> str:
    """Say why a task cannot be resumed, and what can be done instead."""
    instead = {
        State.QUEUED: "it starts by itself; TaskStatus says what it waits for",
        State.STARTING: "it is about to run",
        State.RUNNING: "none of its processes is stopped",
        State.STOPPING: "it is being ended",
        State.ENDED: "RetryTask runs it again",
    }.get(task.state, "it is not followed yet")
    return f"task {task.id} is {task.state}; only a suspended task can be resumed: {instead}"


def unstoppable(held: Standing) -> str:
    """Name the processes that could not be stopped."""
    named = ", ".join(f"{process.name} ({process.pid})" for process in held.running[:_NAMED])
    more = f" and {len(held.running) - _NAMED} more" if len(held.running) > _NAMED else ""
    return (
        f"{named}{more} did not stop within {human_duration(STOP_WITHIN_S)}: "
        "of another user, or the machine gave it no turn"
    )
