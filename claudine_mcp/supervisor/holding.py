"""What holds all queued Claude Code together: a quota that is gone until a known time, a day's money that is spent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from claudine_mcp.core.admission import Waiting
from claudine_mcp.core.alerts import Passed
from claudine_mcp.core.config import Settings
from claudine_mcp.core.models import JSON, Event, Kind, Severity, Task
from claudine_mcp.core.rules.machine import API_LIMITED
from claudine_mcp.core.units import format_time
from claudine_mcp.host.days import day_of, end_of_day
from claudine_mcp.registry.alerts import clear_alerts
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.queue import BUDGET, QUOTA, claude_holds, keep_claude_hold
from claudine_mcp.registry.spending import spent_on
from claudine_mcp.supervisor.context import Context

BUDGET_SPENT: Final = "limit:budget"
LOOK_EVERY_S: Final = 5.0
SAME_WITHIN_S: Final = 60.0
"""Two resets that are said to be so near each other are one."""


class Holding:
    """Knows what holds the queue of Claude Code, and says so once.

    Args:
        ctx: the supervisor's surroundings.
        reload: gives the settings as the user's file has them now.
    """

    def __init__(self, ctx: Context, reload: Callable[[], Awaitable[Settings]]) -> None:
        self._ctx = ctx
        self._reload = reload
        self._is_budget_spent = False

    def look_again_at(self, planned: float | None) -> float | None:
        """Give when to look at the queue again: while it waits for money, the user's file may soon give more."""
        soon = self._ctx.wall() + LOOK_EVERY_S
        return min(planned or soon, soon) if self._is_budget_spent else planned

    async def current(self, waiting: Sequence[Waiting]) -> JSON | None:
        """Give the hold of every queued Claude Code, as `admission.decide` takes it; None: there is none."""
        if self._is_budget_spent:
            self._ctx.settings = await self._reload()
        now = self._ctx.wall()
        day, budget = day_of(now), self._ctx.settings.scheduling.daily_budget_usd
        async with self._ctx.db.read() as tx:
            known = await claude_holds(tx)
            spent = 0.0 if budget is None else await spent_on(tx, day)
        quota, asked = known.get(QUOTA), known.get(BUDGET)
        self._is_budget_spent = is_spent = budget is not None and spent >= budget
        if quota is not None and quota["until"] <= now:
            await self._forget(QUOTA, API_LIMITED, "the quota of Claude Code has been reset", quota)
            quota = None
        if asked is not None and (asked["day"] != day or not is_spent):
            await self._forget(BUDGET, BUDGET_SPENT, "there is money for Claude Code again", asked)
            asked = None
        if quota is not None and not quota.get("lifted"):
            return {"rule": "apiLimited", **{key: quota[key] for key in ("until", "since", "why")}}
        held = sum(task.kind is Kind.CLAUDE for task in waiting)
        if budget is None or not is_spent or (asked is not None and asked.get("lifted")) or not held:
            return None
        if asked is None:
            asked = await self._ask(day, spent, budget, held)
        until = end_of_day(now)
        return {
            "rule": "dailyBudget",
            "until": until,
            "since": asked["at"],
            "spent": round(spent, 2),
            "budget": budget,
        }

    async def _ask(self, day: str, spent: float, budget: float, held: int) -> JSON:
        now = self._ctx.wall()
        tasks = "a queued Claude Code waits" if held == 1 else f"{held} queued Claude Code wait"
        event = Event(
            BUDGET_SPENT,
            Severity.WARNING,
            f"Claude Code has cost {spent:.2f} of {budget:.2f} USD today (scheduling.dailyBudgetUsd): {tasks} for "
            "tomorrow",
            now,
            data={"day": day, "spentUsd": round(spent, 4), "budgetUsd": budget, "queued": held},
            suggestions=(
                {"action": "continue", "label": "let it cost more today"},
                {"action": "snooze", "label": "say nothing of it for a while"},
            ),
        )
        async with self._ctx.db.write() as tx:
            asked: JSON = {"day": day, "at": now, "alertId": await add_event(tx, event)}
            await keep_claude_hold(tx, BUDGET, asked)
        return asked

    async def _forget(self, name: str, of: str, text: str, known: JSON) -> None:
        data = {"of": of, "alertId": known["alertId"]}
        async with self._ctx.db.write() as tx:
            await keep_claude_hold(tx, name, None)
            await add_event(tx, Event("system:recovered", Severity.INFO, text, self._ctx.wall(), data=data))


async def hold_for_quota(tx: Transaction, task: Task, until: float, why: str, at: float) -> None:
    """Keep that the quota is gone until a time, as a run of a task has found; tell of it unless that is known."""
    known = (await claude_holds(tx)).get(QUOTA)
    if known is not None and abs(known["until"] - until) <= SAME_WITHIN_S:
        return
    if known is not None:
        await clear_alerts(tx, Passed(None, seq=known["alertId"]), at)
    event = Event(
        API_LIMITED,
        Severity.WARNING,
        f"the quota of Claude Code is gone: queued Claude Code waits until {format_time(until)} ({why})",
        at,
        data={"why": "rate-limit", "until": format_time(until), "tasks": [{"task": task.id}]},
        suggestions=(
            {"action": "continue", "label": "let queued tasks try before that"},
            {"action": "snooze", "label": "say nothing of it for a while"},
        ),
    )
    quota: JSON = {"until": until, "since": at, "why": why, "alertId": await add_event(tx, event)}
    await keep_claude_hold(tx, QUOTA, quota)


async def lift(tx: Transaction, alert_id: int) -> str | None:
    """Lift the hold that an alert has told of; say so. None: it has told of none."""
    for name, known in (await claude_holds(tx)).items():
        if known["alertId"] == alert_id:
            await keep_claude_hold(tx, name, {**known, "lifted": True})
            return f"queued Claude Code starts again{' for today' if name == BUDGET else ''}"
    return None
