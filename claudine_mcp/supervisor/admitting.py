"""The queue's side of the supervisor: what may start is started, and what holds the others is noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from claudine_mcp.core.admission import Caps, decide
from claudine_mcp.core.admission.changes import Difference, difference
from claudine_mcp.core.admission.holds import CONDITIONS
from claudine_mcp.core.admission.soft_cap import SoftCap, moved
from claudine_mcp.core.config import Settings
from claudine_mcp.core.evidence import Judgement
from claudine_mcp.core.models import JSON, Run
from claudine_mcp.core.states import Outcome, Trigger
from claudine_mcp.registry.database import DiskFull, Transaction
from claudine_mcp.registry.paused import queued_count
from claudine_mcp.registry.queue import keep_soft_cap, set_holds, soft_cap
from claudine_mcp.registry.situation import Standing, keep_standing, read_situation
from claudine_mcp.registry.tasks import add_run, get_task, move, newest_seq, update_run
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.context import Context, Tick
from claudine_mcp.supervisor.holding import Holding
from claudine_mcp.supervisor.machine import MachineView
from claudine_mcp.supervisor.watcher import Watcher

if TYPE_CHECKING:
    from claudine_mcp.core.admission import Decisions, Situation, Waiting

BY_THEMSELVES: Final = CONDITIONS | {"softCap", "backfill", "reserved"}
"""Rules that may hold a task no longer though nothing has happened to any task."""
SHARE: Final = 0.05
"""Of the time: what looks at the queue may take while nothing happens, however long it is."""
WITHOUT_TICKS: Final = 2.0
"""Times the interval between ticks."""
STANDING_EVERY_S: Final = 30.0
"""What admission goes by is kept at least so often while it looks at the queue."""
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
        self._not_before = 0.0
        self._kept_at = -STANDING_EVERY_S
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
        if self._waits_for_machine and self._ctx.mono() >= self._not_before:
            self._ctx.admission_due = True

    async def _admit(self) -> list[Watcher]:
        async with self._ctx.db.read() as tx:
            newest = await newest_seq(tx)
            due = self.look_again_at is not None and self._ctx.wall() >= self.look_again_at
            if not (self._ctx.admission_due or due or newest != self._newest_seq):
                return []
            self._ctx.admission_due = False
            self._newest_seq = newest
            kept_cap = await soft_cap(tx)
            if not (await queued_count(tx) or kept_cap):
                self.look_again_at, self._waits_for_machine = None, False
                return []
        began, now, machine = self._ctx.mono(), self._ctx.wall(), await self._machine.now()
        going_by = Standing(now, self._caps, machine, memory=self._ctx.memory_hold)
        async with self._ctx.db.read() as tx:
            ctx = self._ctx
            situation = await read_situation(tx, ctx.settings, ctx.demand, ctx.memory, going_by)
        going_by = replace(
            going_by,
            caps=await self._moved_caps(situation, kept_cap),
            claude_hold=await self._holding.current(situation.waiting),
        )
        situation = replace(situation, caps=going_by.caps, claude_hold=going_by.claude_hold)
        decisions = decide(situation)
        watchers = await self._carry_out(situation.waiting, decisions, going_by)
        self._plan(decisions, self._ctx.mono() - began)
        return watchers

    @property
    def _caps(self) -> Caps:
        """What is configured."""
        limits = self._ctx.settings.limits
        return Caps(limits.soft_max_concurrent, limits.hard_max_concurrent, limits.soft_max_concurrent)

    async def _moved_caps(self, situation: Situation, kept: JSON | None) -> Caps:
        """Move the soft cap; give the caps in force."""
        caps = self._caps
        before = None if kept is None else SoftCap(kept["cap"], kept["movedAt"])
        is_wanted = any(
            task.hold is not None and task.hold["rule"] == "softCap" for task in situation.waiting
        )
        after = moved(
            before,
            situation.machine,
            situation.now,
            configured=caps.soft,
            hard=caps.hard,
            is_wanted=is_wanted,
        )
        value: JSON | None = {"cap": after.cap, "movedAt": after.moved_at}
        if after == SoftCap(caps.soft):
            value = None
        if value != kept:
            async with self._ctx.db.write() as tx:
                await keep_soft_cap(tx, value)
        return replace(caps, soft=after.cap)

    def _plan(self, decisions: Decisions, took_s: float) -> None:
        """Say when to look again though nothing happens to any task: what the machine has to give changes by itself."""
        rules = {hold["rule"] for hold in decisions.hold.values()}
        self._waits_for_machine = not rules.isdisjoint(BY_THEMSELVES)
        planned = decisions.look_again_at
        if self._waits_for_machine:
            interval_s = self._ctx.settings.monitoring.sample_interval / 1000
            self._not_before = self._ctx.mono() + took_s / SHARE
            # There are no ticks while nothing runs, or nobody wants samples.
            soon = self._ctx.wall() + max(took_s / SHARE, WITHOUT_TICKS * interval_s)
            planned = min(soon, planned or soon)
        self.look_again_at = self._holding.look_again_at(planned)

    async def _carry_out(
        self, waiting: Sequence[Waiting], decisions: Decisions, going_by: Standing
    ) -> list[Watcher]:
        holds = self._worth_writing({task.id: task.hold for task in waiting}, decisions.hold)
        watchers: list[Watcher] = []
        is_due = self._ctx.mono() - self._kept_at >= STANDING_EVERY_S
        if holds or decisions.admit or decisions.skip or is_due:
            granted = {
                task.id: round(task.preferred.mean_bytes)
                for task in waiting
                if task.preferred is not None and task.id in decisions.preferred
            }
            async with self._ctx.db.write() as tx:
                await set_holds(tx, holds)
                for task_id, reason in decisions.skip.items():
                    await self._skip(tx, task_id, reason)
                watchers = [
                    await self._start(tx, task_id, granted.get(task_id)) for task_id in decisions.admit
                ]
                await keep_standing(tx, going_by)
            self._kept_at = self._ctx.mono()
        self._ctx.trace("admitted")
        if decisions.skip:
            self._ctx.admission_due = True  # others may depend on what was skipped
        return watchers

    def _worth_writing(self, known: Mapping[str, JSON | None], holds: Mapping[str, JSON]) -> dict[str, JSON]:
        """Give the holds that are others than are stored; numbers that only move, only now and then."""
        mono = self._ctx.mono()
        are_numbers_due = mono - self._numbers_at >= NUMBERS_EVERY_S
        found: dict[str, JSON] = {}
        for task_id, hold in holds.items():
            new = difference(known[task_id], hold)
            if new is Difference.MEANING or (new is Difference.NUMBERS and are_numbers_due):
                found[task_id] = hold
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

    async def _start(self, tx: Transaction, task_id: str, granted_bytes: int | None) -> Watcher:
        task = await get_task(tx, task_id)
        run = Run(task.id, task.run + 1, self._ctx.wall())
        await move(tx, task, Trigger.ADMIT, None, run=run.n, hold=None, reason=None)
        await add_run(tx, run)
        if granted_bytes is not None:
            await update_run(tx, run, granted_bytes=granted_bytes)
        failed = self._failed_launches.get(task.id, 0)
        return Watcher(self._ctx, task.id, run, to_launch=True, failed_launches=failed)

    def is_over(self, watcher: Watcher) -> None:
        """Note whether a run that is over ever began: one that did not waits longer before it is tried again."""
        if watcher.seen.launched is None or watcher.seen.directory.has("began"):
            self._failed_launches.pop(watcher.task_id, None)
        else:
            self._failed_launches[watcher.task_id] = watcher.failed_launches + 1
