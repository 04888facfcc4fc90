"""Questions of delegated runs: the one that waits for an answer, or what became of it."""

from __future__ import annotations

from claudine_mcp.core.errors import QuestionNotFound
from claudine_mcp.core.models import Command
from claudine_mcp.core.units import format_time
from claudine_mcp.registry.commands import open_questions, question_of
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import events_after, get_event

QUESTION = "task:needs-permission"
LAST_SEQ = 2**63 - 1
PAGE = 10_000
"""How many events after a question are looked through for its end."""


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
    over = await events_after(tx, alert_id, limit=PAGE, types=["task:recovered"])
    end = next((event for event in over if event.data.get("alertId") == alert_id), None)
    raise await _refusal(tx, alert_id, f"{end.message}, {format_time(end.at)}" if end else "it is over")


async def _refusal(tx: Transaction, alert_id: int, why: str) -> QuestionNotFound:
    return QuestionNotFound(alert_id, [asked.args["alertId"] for asked in await open_questions(tx)], why)
