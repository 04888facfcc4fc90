"""Pausing the queue and resuming it, as server and command line do it."""

from __future__ import annotations

from pydantic import Field

from claudine_mcp.core.admission import describe_hold
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import JSON, CommandKind
from claudine_mcp.core.units import format_time
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import MAX_REASON
from claudine_mcp.front.view import View
from claudine_mcp.registry.paused import paused


class QueuePause(View):
    """Whether the queue is paused."""

    paused: bool
    changed: bool = Field(description="false: it was so already")
    since: str | None = None
    by: str | None = None
    reason: str | None = None
    queued: int = Field(description="tasks that wait, for this or for something else")
    done: str = Field(description="what was done, and what that means")


async def pause_queue(front: Front, wanted: bool, reason: str | None = None) -> QueuePause:
    """Pause the queue, or resume it; what runs goes on.

    Raises:
        InvalidInput: the reason is empty, or too long.
    """
    if reason is not None and not reason.strip():
        raise InvalidInput("reason", "it is empty", "Say why, or leave it out.")
    if reason is not None and len(reason) > MAX_REASON:
        raise InvalidInput("reason", f"it has {len(reason)} characters", f"Give at most {MAX_REASON}.")
    args: JSON = {"paused": wanted} if reason is None else {"paused": wanted, "reason": reason}
    result = await front.command(CommandKind.PAUSE, None, args)
    after: JSON = result["after"] or {}
    queued: int = result["queued"]
    return QueuePause(
        paused=wanted,
        changed=result["changed"],
        since=format_time(after["since"]) if after else None,
        by=after.get("by"),
        reason=after.get("reason"),
        queued=queued,
        done=said_of_pausing(result, queued),
    )


def said_of_pausing(result: JSON, queued: int) -> str:
    """Say what pausing or resuming did, with how many tasks are queued."""
    tasks = "1 task waits" if queued == 1 else f"{queued} tasks wait"
    before: JSON | None = result["before"]
    if result["after"] is None:
        if before is None:
            return f"the queue was not paused; {tasks}"
        return f"the queue goes on; {tasks}"
    rest = f"{tasks}. What runs goes on; nothing is started, whatever its priority"
    if before is None:
        return f"the queue is paused; {rest}"
    return f"the queue was paused already, since {format_time(before['since'])} by {before['by']}; {rest}"


async def pause_note(front: Front) -> str | None:
    """Remind of a queue that is paused, since when and why; None: it is not."""
    async with front.db.read() as tx:
        known = await paused(tx)
    return None if known is None else describe_hold({"rule": "paused", **known})
