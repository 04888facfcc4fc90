"""Pausing the queue: what runs goes on, and nothing is started until the queue is resumed."""

from __future__ import annotations

from claudine_mcp.core.models import JSON, Command, Event, Severity
from claudine_mcp.core.units import human_duration
from claudine_mcp.registry.commands import finish_command
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.paused import keep_paused, paused, queued_count
from claudine_mcp.supervisor.context import Context


class Pausing:
    """Carries out `pause`, which also resumes.

    Args:
        ctx: the supervisor's surroundings.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def pause(self, command: Command) -> None:
        """Pause the queue or resume it, say so, and answer: one transaction."""
        async with self._ctx.db.write() as tx:
            before = await paused(tx)
            is_wanted: bool = command.args["paused"]
            after = self._after(command, before) if is_wanted else None
            if after != before:
                await keep_paused(tx, after)
            if (after is None) != (before is None):
                await add_event(tx, await self._event(tx, command, before, after))
            waiting = await queued_count(tx)
            result: JSON = {"changed": after != before, "before": before, "after": after, "queued": waiting}
            await finish_command(tx, command.id, result, self._ctx.wall())
        self._ctx.trace("pause-committed")

    def _after(self, command: Command, before: JSON | None) -> JSON:
        """Give what is kept from now on: a queue that is paused already stays so since then."""
        reason: str | None = command.args.get("reason")
        if before is not None:
            return before if reason is None else {**before, "reason": reason}
        by: str = command.origin.get("by", "the user")
        return {"since": self._ctx.wall(), "reason": reason, "by": by}

    async def _event(
        self, tx: Transaction, command: Command, before: JSON | None, after: JSON | None
    ) -> Event:
        now, by = self._ctx.wall(), command.origin.get("by", "the user")
        reason: str | None = command.args.get("reason")
        why = "" if reason is None else f": {reason}"
        waiting = await queued_count(tx)
        data: JSON = {"by": by, "reason": reason, "queued": waiting}
        tasks = "1 task waits" if waiting == 1 else f"{waiting} tasks wait"
        if after is not None:
            text = f"the queue was paused by {by}{why}. What runs goes on; nothing is started ({tasks})"
            return Event("queue:paused", Severity.NOTICE, text, now, data=data)
        paused_s = 0.0 if before is None else max(0.0, now - before["since"])
        text = f"the queue was resumed by {by} after {human_duration(paused_s)}{why} ({tasks})"
        return Event(
            "queue:resumed", Severity.NOTICE, text, now, data={**data, "pausedSeconds": round(paused_s)}
        )
