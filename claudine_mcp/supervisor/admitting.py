"""The queue's side of the supervisor: what may start is started, and what holds the others is noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from claudine_mcp.core.admission import Caps, Situation, Starts, decide
from claudine_mcp.core.admission.holds import CONDITIONS, has_moved, is_other
from claudine_mcp.core.admission.soft_cap import SoftCap, moved
from claudine_mcp.core.config import Settings
from claudine_mcp.core.evidence import Judgement
from claudine_mcp.core.models import JSON, Run
from claudine_mcp.core.states import Outcome, Trigger
from claudine_mcp.registry.database import DiskFull, Transaction
from claudine_mcp.registry.paused import paused
from claudine_mcp.registry.queue import (
    active_tasks,
    busy_sessions,
    claude_starts,
    keep_soft_cap,
    set_holds,
    soft_cap,
    waiting_tasks,
)
from claudine_mcp.registry.tasks import add_run, get_task, move, newest_seq, outcomes_of
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.context import Context, Tick
from claudine_mcp.supervisor.holding import Holding
from claudine_mcp.supervisor.machine import MachineView
from claudine_mcp.supervisor.watcher import Watcher

if TYPE_CHECKING:
    from claudine_mcp.core.admission import Decisions, Waiting

NUMBERS_EVERY_S: Final = 5.0
"""The numbers of a hold that stays the same are written so often: what a thousand tasks wait for moves all the time."""


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
        self._machine = MachineView(ctx)
        self._waits_for_machine = False
        self._numbers_at = -NUMBERS_EVERY_S
        self.look_again_at: float | None = None

    async def admit(self) -> list[Watcher]:
        """Look at the queue if that is due; give the watchers of what was started."""
        try:
            return await self._admit()
        except DiskFull:
            self._ctx.admission_due = True
            raise

    async def judge(self, tick: Tick) -> None:
        """Keep what one look has shown; what waits for the machine may have waited for that."""
        await self._machine.judge(tick)
        if self._waits_for_machine:
            self._ctx.admission_due = True

    async def _admit(self) -> list[Watcher]:
        async with self._ctx.db.read() as tx:
            newest = await newest_seq(tx)
            due = self.look_again_at is not None and self._ctx.wall() >= self.look_again_at
            if not (self._ctx.admission_due or due or newest != self._newest_seq):
                return []
            self._ctx.admission_due = False
            self._newest_seq = newest
            waiting = await waiting_tasks(tx, self._ctx.demand, self._ctx.wall())
            kept_cap = await soft_cap(tx)
            if not (waiting or kept_cap):
                self.look_again_at, self._waits_for_machine = None, False
                return []
            situation = await self._situation(tx, waiting)
        situation = replace(
            situation, machine=await self._machine.now(), claude_hold=await self._holding.current(waiting)
        )
        situation = await self._with_caps(situation, kept_cap)
        return await self._carry_out(waiting, decide(situation))

    async def _situation(self, tx: Transaction, waiting: list[Waiting]) -> Situation:
        settings, now = self._ctx.settings, self._ctx.wall()
        scheduling = settings.scheduling
        spacing_s, burst = scheduling.start_spacing / 1000, settings.start_burst
        wanted = {item.task_id for task in waiting for item in task.depends_on}
        return Situation(
            waiting=waiting,
            active=await active_tasks(tx, self._ctx.demand, now, self._ctx.memory),
            caps=Caps(settings.limits.soft_max_concurrent, settings.limits.hard_max_concurrent),
            now=now,
            outcomes=await outcomes_of(tx, sorted(wanted)),
            n_sigma=scheduling.n_sigma,
            ageing_s=scheduling.ageing / 1000,
            max_load=scheduling.max_load,
            starts=Starts(burst, spacing_s, await claude_starts(tx, now - burst * spacing_s)),
            busy_sessions=await busy_sessions(tx),
            memory=self._ctx.memory_hold,
            paused=await paused(tx),
        )

    async def _with_caps(self, situation: Situation, kept: JSON | None) -> Situation:
        """Move the soft cap."""
        limits, now = self._ctx.settings.limits, situation.now
        configured = limits.soft_max_concurrent
        before = None if kept is None else SoftCap(kept["cap"], kept["movedAt"])
        is_wanted = any(
            task.hold is not None and task.hold["rule"] == "softCap" for task in situation.waiting
        )
        after = moved(
            before,
            situation.machine,
            now,
            configured=configured,
            hard=limits.hard_max_concurrent,
            is_wanted=is_wanted,
        )
        value: JSON | None = {"cap": after.cap, "movedAt": after.moved_at}
        if after == SoftCap(configured):
            value = None
        if value != kept:
            async with self._ctx.db.write() as tx:
                await keep_soft_cap(tx, value)
        return replace(situation, caps=Caps(after.cap, limits.hard_max_concurrent, configured))

    async def _carry_out(self, waiting: list[Waiting], decisions: Decisions) -> list[Watcher]:
        rules = {hold["rule"] for hold in decisions.hold.values()}
        self._waits_for_machine = not rules.isdisjoint(CONDITIONS | {"softCap", "backfill", "reserved"})
        self.look_again_at = self._holding.look_again_at(decisions.look_again_at)
        holds = self._worth_writing({task.id: task.hold for task in waiting}, decisions.hold)
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

    def _worth_writing(self, known: Mapping[str, JSON | None], holds: Mapping[str, JSON]) -> dict[str, JSON]:
        """Give the holds that are others than are stored; numbers that only move, only now and then."""
        mono = self._ctx.mono()
        are_numbers_due = mono - self._numbers_at >= NUMBERS_EVERY_S
        found = {
            id_: hold
            for id_, hold in holds.items()
            if is_other(before := known[id_], hold)
            or (are_numbers_due and before is not None and has_moved(before, hold))
        }
        if are_numbers_due and found:
            self._numbers_at = mono
        return found

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
