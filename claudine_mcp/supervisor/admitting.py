"""The queue's side of the supervisor: what may start is started, and what holds the others is noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from claudine_mcp.core.admission import Decisions, Situation, Waiting, decide
from claudine_mcp.core.admission.changes import Difference, difference
from claudine_mcp.core.admission.holds import CONDITIONS
from claudine_mcp.core.admission.soft_cap import SoftCap
from claudine_mcp.core.config import Settings
from claudine_mcp.core.evidence import Judgement
from claudine_mcp.core.models import JSON, Run
from claudine_mcp.core.policy import is_pressing
from claudine_mcp.core.states import Outcome, State, Trigger
from claudine_mcp.registry.database import DiskFull, Transaction
from claudine_mcp.registry.queue import set_holds
from claudine_mcp.registry.situation import Standing, keep_standing, read_situation, standing
from claudine_mcp.registry.tasks import add_run, count_by_state, get_task, move, newest_seq, update_run
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.context import Context, Tick
from claudine_mcp.supervisor.holding import Holding
from claudine_mcp.supervisor.survey import Survey
from claudine_mcp.supervisor.watcher import Watcher

ROOM: Final = frozenset({*CONDITIONS, "backfill", "reserved"})
"""Rules that may hold no longer although nothing has happened to any task."""
SOFT_CAP_LOOK_S: Final = 5.0
"""Between two looks whether the soft cap is to be moved, while a task waits for that."""
SHARE: Final = 0.05
"""Of the time that looks at the queue may take while nothing happens."""
NUMBERS_S: Final = 5.0
"""A hold of which only numbers have changed is written again after so long."""
STORE_EVERY_S: Final = 30.0


class Admitting:
    """Looks at the queue whenever something has changed that a task may have waited for.

    Args:
        ctx: the supervisor's surroundings.
        reload: gives the settings as the user's file has them now.
    """

    def __init__(self, ctx: Context, reload: Callable[[], Awaitable[Settings]]) -> None:
        self._ctx = ctx
        self._holding = Holding(ctx, reload)
        self._survey = Survey(ctx)
        self._failed_launches: dict[str, int] = {}
        self._newest_seq = -1
        self._soft_cap: SoftCap | None = None
        self._is_cap_wanted = False
        self._noted_at: dict[str, float] = {}
        self._stored: Standing | None = None
        self.look_again_at: float | None = None

    async def judge(self, tick: Tick) -> None:
        """Take what a look has shown of the machine."""
        self._survey.note(tick)

    async def admit(self) -> list[Watcher]:
        """Look at the queue if that is due; give the watchers of what was started."""
        try:
            return await self._admit()
        except DiskFull:
            self._ctx.admission_due = True
            raise

    async def _admit(self) -> list[Watcher]:
        began = self._ctx.mono()
        async with self._ctx.db.read() as tx:
            newest = await newest_seq(tx)
            due = self.look_again_at is not None and self._ctx.wall() >= self.look_again_at
            if not (self._ctx.admission_due or due or newest != self._newest_seq):
                return []
            self._ctx.admission_due = False
            self._newest_seq = newest
            is_empty = State.QUEUED not in await count_by_state(tx)
            if self._soft_cap is None:
                self._soft_cap = await self._recall(tx)
        if is_empty:
            self.look_again_at = None
            self._is_cap_wanted = self._ctx.is_pressed = False
            return []
        going_by = await self._standing(self._soft_cap)
        async with self._ctx.db.read() as tx:
            ctx = self._ctx
            situation = await read_situation(tx, ctx.settings, ctx.demand, ctx.memory, going_by)
        going_by = replace(going_by, claude_hold=await self._holding.current(situation.waiting))
        situation = replace(situation, claude_hold=going_by.claude_hold)
        decisions = decide(situation)
        self._ctx.is_pressed = any(
            task.id in decisions.hold and is_pressing(task, decisions.hold[task.id])
            for task in situation.waiting
        )
        watchers = await self._carry_out(situation, decisions, going_by)
        self._plan(decisions, self._ctx.mono() - began)
        return watchers

    async def _recall(self, tx: Transaction) -> SoftCap:
        """Go on from where the supervisor before this one had come to."""
        self._stored = await standing(tx)
        usual = self._ctx.settings.limits.soft_max_concurrent
        return SoftCap(usual, usual) if self._stored is None else self._stored.soft_cap

    async def _standing(self, soft_cap: SoftCap) -> Standing:
        """Look at what is not in tables."""
        machine, now, limits = await self._survey.machine(), self._ctx.wall(), self._ctx.settings.limits
        self._soft_cap = soft_cap.moved(
            machine,
            limits.soft_max_concurrent,
            limits.hard_max_concurrent,
            now,
            is_wanted=self._is_cap_wanted,
        )
        return Standing(now, self._soft_cap, machine, memory=self._ctx.memory_hold)

    def _plan(self, decisions: Decisions, took_s: float) -> None:
        """Say when to look again though nothing happens: machine and soft cap change by themselves."""
        rules = {hold["rule"] for hold in decisions.hold.values()}
        self._is_cap_wanted = "softCap" in rules
        waits: list[float] = []
        if rules & ROOM:
            waits.append(max(self._ctx.settings.monitoring.sample_interval / 1000, took_s / SHARE))
        if self._is_cap_wanted:
            waits.append(SOFT_CAP_LOOK_S)
        times = [self._ctx.wall() + wait for wait in waits]
        if decisions.look_again_at is not None:
            times.append(decisions.look_again_at)
        self.look_again_at = self._holding.look_again_at(min(times, default=None))

    async def _carry_out(
        self, situation: Situation, decisions: Decisions, going_by: Standing
    ) -> list[Watcher]:
        holds = self._news(situation.waiting, decisions)
        watchers: list[Watcher] = []
        is_due = (
            self._stored is None
            or self._stored.soft_cap != going_by.soft_cap
            or not 0 <= going_by.at - self._stored.at < STORE_EVERY_S
        )
        if holds or decisions.admit or decisions.skip or is_due:
            granted = {
                task.id: round(task.preferred.mean_bytes)
                for task in situation.waiting
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
            self._stored = going_by
            self._noted_at |= dict.fromkeys(holds, self._ctx.mono())
        self._ctx.trace("admitted")
        if decisions.skip:
            self._ctx.admission_due = True  # others may depend on what was skipped
        return watchers

    def _news(self, waiting: Sequence[Waiting], decisions: Decisions) -> dict[str, JSON]:
        """Give the holds that are worth being written: another rule at once, other numbers now and then."""
        now = self._ctx.mono()
        self._noted_at = {id_: at for id_, at in self._noted_at.items() if id_ in decisions.hold}
        found: dict[str, JSON] = {}
        for task in waiting:
            hold = decisions.hold.get(task.id)
            if hold is None or hold == task.hold:
                continue
            new = difference(task.hold, hold)
            is_old = now - self._noted_at.get(task.id, now - NUMBERS_S) >= NUMBERS_S
            if new is Difference.MEANING or (new is Difference.NUMBERS and is_old):
                found[task.id] = hold
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
