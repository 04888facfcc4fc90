"""Messages as their run ends: answered if they are open, and told of if they were not read."""

from __future__ import annotations

from typing import NamedTuple

from claudine_mcp.core.models import JSON, Command, CommandKind, Event, Run, Severity, Task
from claudine_mcp.registry.commands import commands_of, finish_command
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.workloads.base import Fate, Follower
from claudine_mcp.workloads.claude_fields import one_line

SHOWN_CHARS = 200
SHOWN_MESSAGES = 20


class Parting(NamedTuple):
    """How a run ended, in words: what the task did, why, and what goes on in its session."""

    verb: str
    why: str
    again: str = "RetryTask goes on"


async def settle_messages(
    tx: Transaction, task: Task, run: Run, follower: Follower, *, parting: Parting, at: float
) -> None:
    """Answer the messages that are open as their run ends, and tell of those that it has not read.

    Args:
        tx: the transaction that ends the run.
        task: the task.
        run: the run.
        follower: what understands the run's output, which was read to its end.
        parting: how it ended.
        at: now.
    """
    lost: list[str] = []
    for command in await commands_of(tx, task.id, CommandKind.SEND):
        is_open = command.done_at is None
        identifier: str | None = command.args.get("uuid")
        if not is_open and (identifier is None or command.args.get("run") != run.n):
            continue
        fate = None if identifier is None else follower.fate_of(identifier)
        if is_open and fate is Fate.READ:
            await finish_command(tx, command.id, delivered(command, fate), at)
        elif (
            is_open
            or fate in {Fate.WAITING, Fate.LOST}
            or (fate is None and "error" in (command.result or {}))
        ):
            lost.append(command.args["message"])
            if is_open:
                text = (
                    f"task {task.id} {parting.verb} before it had read the message ({parting.why}). "
                    f"{parting.again} in the same session; then send it again"
                )
                await finish_command(tx, command.id, {"error": text}, at)
    if lost:
        await add_event(tx, messages_lost(task, run, parting.verb, lost, at))


def messages_lost(task: Task, run: Run, verb: str, texts: list[str], at: float) -> Event:
    """A run has ended without having read messages that were sent to it."""
    what = f"{len(texts)} messages" if len(texts) > 1 else "a message"
    first = one_line(texts[0], SHOWN_CHARS)
    return Event(
        "task:messages-lost",
        Severity.WARNING,
        f"{task.name} ({task.id}) {verb} without having read {what} that it was sent: {first}",
        at,
        task_id=task.id,
        run_id=run.id,
        data={
            "taskId": task.id,
            "count": len(texts),
            "messages": [short(text) for text in texts[:SHOWN_MESSAGES]],
        },
    )


def short(text: str) -> str:
    """Give the beginning of a text."""
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"


def delivered(command: Command, fate: Fate) -> JSON:
    """Give the result of a message that has arrived."""
    # An interrupt makes it read at once, though it may still say that the message is queued.
    return {"delivered": True, "queued": fate is Fate.WAITING and not command.args.get("interrupt")}
