"""The queue's side of the supervisor: what may start is started, and what holds the others is noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from claudine_mcp.core.admission import Caps, Situation, decide
from claudine_mcp.core.config import Settings
from claudine_mcp.core.evidence import Judgement
from claudine_mcp.core.models import Run
from claudine_mcp.core.states import Outcome, Trigger
from claudine_mcp.registry.database import DiskFull, Transaction
from claudine_mcp.registry.paused import paused
from claudine_mcp.registry.queue import active_tasks, busy_sessions, set_holds, waiting_tasks
from claudine_mcp.registry.tasks import add_run, get_task, move, newest_seq, outcomes_of
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.holding import Holding
from claudine_mcp.supervisor.watcher import Watcher

if TYPE_CHECKING:
    from claudine_mcp.core.admission import Decisions, Waiting


class Admitting:
    """Looks at the queue whenever something has changed that a task may have waited for.

    Args:
        ctx: the supervisor's surroundings.
        reload: gives the settings as the user's file has them now.
    """

    def __init__(self, ctx: Context, reload: Callable[[], Awaitable[Settings]]) -> None:
        self._ctx = ctx
        self._holding = Holding(ctx, reload)
        self._failed_launches: dict[str, int] = {}
        self._newest_seq = -1
        self.look_again_at: float | None = None

    async def admit(self) -> list[Watcher]:
        """Look at the queue if that is due; give the watchers of what was started."""
        try:
            return await self._admit()
        except DiskFull:
            self._ctx.admission_due = True
            raise

    async def _admit(self) -> list[Watcher]:
        async with self._ctx.db.read() as tx:
            newest = await newest_seq(tx)
            due = self.look_again_at is not None and self._ctx.wall() >= self.look_again_at
            if not (self._ctx.admission_due or due or newest != self._newest_seq):
                return []
            self._ctx.admission_due = False
            self._newest_seq = newest
            waiting = await waiting_tasks(tx, self._ctx.demand, self._ctx.wall())
            if not waiting:
                self.look_again_at = None
                return []
            situation = await self._situation(tx, waiting)
        return await self._carry_out(waiting, decide(await self._with_holds(situation)))

    async def _situation(self, tx: Transaction, waiting: list[Waiting]) -> Situation:
        limits = self._ctx.settings.limits
        wanted = {item.task_id for task in waiting for item in task.depends_on}
        return Situation(
            waiting=waiting,
            active=await active_tasks(tx, self._ctx.demand, self._ctx.wall(), self._ctx.memory),
            caps=Caps(limits.soft_max_concurrent, limits.hard_max_concurrent),
            now=self._ctx.wall(),
            outcomes=await outcomes_of(tx, sorted(wanted)),
            busy_sessions=await busy_sessions(tx),
            memory=self._ctx.memory_hold,
            paused=await paused(tx),
        )

    async def _with_holds(self, situation: Situation) -> Situation:
        return replace(situation, claude_hold=await self._holding.current(situation.waiting))

    async def _carry_out(self, waiting: list[Waiting], decisions: Decisions) -> list[Watcher]:
        self.look_again_at = self._holding.look_again_at(decisions.look_again_at)
        known = {task.id: task.hold for task in waiting}
        holds = {id_: hold for id_, hold in decisions.hold.items() if known[id_] != hold}
        watchers: list[Watcher] = []
        if holds or decisions.admit or decisions.skip:
            async with self._ctx.db.write() as tx:
                await set_holds(tx, holds)
                for task_id, reason in decisions.skip.items():
                    await self._skip(tx, task_id, reason)
                watchers = [await self._start(tx, task_id) for task_id in decisions.admit]
        self._ctx.trace("admitted")
        if decisions.skip:
            self._ctx.admission_due = True  # others may depend on what was skipped
        return watchers

    async def _skip(self, tx: Transaction, task_id: str, reason: str) -> None:
        task = await get_task(tx, task_id)
        now = self._ctx.wall()
        event = announce.ended(task, Judgement(Outcome.SKIPPED, reason), now)
        await move(
            tx,
            task,
            Trigger.DEPENDENCY_FAILED,
            event,
            outcome=Outcome.SKIPPED,
            reason=reason,
            ended_at=now,
            hold=None,
        )

    async def _start(self, tx: Transaction, task_id: str) -> Watcher:
        task = await get_task(tx, task_id)
        run = Run(task.id, task.run + 1, self._ctx.wall())
        await move(tx, task, Trigger.ADMIT, None, run=run.n, hold=None, reason=None)
        await add_run(tx, run)
        failed = self._failed_launches.get(task.id, 0)
        return Watcher(self._ctx, task.id, run, to_launch=True, failed_launches=failed)

    def is_over(self, watcher: Watcher) -> None:
        """Note whether a run that is over ever began: one that did not waits longer before it is tried again."""
        if watcher.seen.launched is None or watcher.seen.directory.has("began"):
            self._failed_launches.pop(watcher.task_id, None)
        else:
            self._failed_launches[watcher.task_id] = watcher.failed_launches + 1
