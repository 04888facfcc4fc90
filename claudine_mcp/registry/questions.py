"""Questions of delegated runs: the one that waits for an answer, or what became of it."""

from __future__ import annotations

from claudine_mcp.core.errors import QuestionNotFound
from claudine_mcp.core.models import Command, Event
from claudine_mcp.core.units import format_time
from claudine_mcp.registry.commands import open_questions, question_of
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import events_after, get_event
from claudine_mcp.registry.rows import LAST_SEQ

QUESTION = "task:needs-permission"
PAGE = 10_000
"""How many events of its task are looked through for a question's end."""


async def waiting_question(tx: Transaction, alert_id: int) -> Command:
    """Give the question that an event has raised and that nobody has answered.

    Raises:
        QuestionNotFound: there is none; says what became of it.
    """
    if not 0 < alert_id <= LAST_SEQ:
        raise await _refusal(tx, alert_id, "there is no such alert")
    asked = await question_of(tx, alert_id)
    if asked is not None and asked.done_at is None:
        return asked
    raised = await get_event(tx, alert_id)
    if raised is None:
        raise await _refusal(tx, alert_id, "there is no such alert")
    if raised.type != QUESTION:
        raise await _refusal(tx, alert_id, f"it is {raised.type}, which asks nothing")
    end = None if asked is None else await end_of(tx, asked)
    raise await _refusal(tx, alert_id, f"{end.message}, {format_time(end.at)}" if end else "it is over")


async def end_of(tx: Transaction, asked: Command) -> Event | None:
    """Give the event that tells how a question was closed; None while it is open, and if its task was removed."""
    if asked.task_id is None:
        return None
    told = await events_after(
        tx, asked.args["alertId"], limit=PAGE, task_ids=[asked.task_id], types=["task:recovered"]
    )
    return next((event for event in told if event.data.get("alertId") == asked.args["alertId"]), None)


async def _refusal(tx: Transaction, alert_id: int, why: str) -> QuestionNotFound:
    return QuestionNotFound(alert_id, [asked.args["alertId"] for asked in await open_questions(tx)], why)
