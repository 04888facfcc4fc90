"""Alerts: events that stay until they have passed, were answered, or were heard."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from sqlite3 import Row
from typing import Any

from claudine_mcp.core.alerts import HANDED_AT_MOST, Passed
from claudine_mcp.core.models import JSON, Event
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.rows import EVENT_COLUMNS, LAST_SEQ, event_of

EVENT_FIELDS = ", ".join(f"events.{name}" for name in EVENT_COLUMNS.split(", "))
SILENT = "answered_at IS NOT NULL OR (snoozed_until IS NOT NULL AND snoozed_at <= ?1 AND ?1 < snoozed_until)"
"""A snooze that begins only now, since the clock was set back, is over: it might last for hours."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An event that has not passed.

    Attributes:
        submitter: of the task that it is about, None if it is about the machine.
        answer: what was said to it, None if nothing.
        cleared: whether it has passed.
    """

    event: Event
    submitter: JSON | None
    answer: str | None = None
    snoozed_until: float | None = None
    cleared: bool = False


async def raise_alert(tx: Transaction, seq: int, event: Event) -> None:
    """Keep an event as an alert."""
    await tx.run("INSERT INTO alerts (seq, task_id, type) VALUES (?, ?, ?)", (seq, event.task_id, event.type))


async def clear_alerts(tx: Transaction, passed: Passed, at: float) -> None:
    """Note that alerts have passed."""
    await tx.run(
        "UPDATE alerts SET cleared_at = ? WHERE cleared_at IS NULL AND task_id IS ?"
        " AND (? IS NULL OR type = ?) AND (? IS NULL OR seq = ?)",
        (at, passed.task_id, passed.type, passed.type, passed.seq, passed.seq),
    )


async def answer_alert(
    tx: Transaction, seq: int, answer: str, at: float, *, snoozed_until: float | None = None
) -> None:
    """Note what was said to an alert; with `snoozed_until` it comes up again then, if it has not passed."""
    answered_at, snoozed_at = (at, None) if snoozed_until is None else (None, at)
    await tx.run(
        "UPDATE alerts SET answer = ?, answered_at = ?, snoozed_at = ?, snoozed_until = ?"
        " WHERE seq = ? AND cleared_at IS NULL",
        (answer, answered_at, snoozed_at, snoozed_until, seq),
    )
    # What has been heard three times is said again after a snooze.
    await tx.run("DELETE FROM handed WHERE seq = ?", (seq,))


async def get_alert(tx: Transaction, seq: int) -> Alert | None:
    """Give an alert, also one that has passed; None if no event with this number is one."""
    row = await tx.one(_select("alerts.seq = ?"), (seq,)) if 0 < seq <= LAST_SEQ else None
    return None if row is None else _alert_of(row)


async def open_alerts(
    tx: Transaction,
    now: float,
    *,
    session: str | None = None,
    handed_less_than: int = HANDED_AT_MOST,
    task_id: str | None = None,
) -> list[Alert]:
    """Give the alerts that are not silent, most severe first, of these the newest first.

    Args:
        tx: a transaction.
        now: seconds since the epoch.
        session: without those that it was handed `handed_less_than` times or more, and ends that another one heard.
        handed_less_than: with `session`.
        task_id: only of this task.
    """
    where, values = [f"cleared_at IS NULL AND NOT ({SILENT})"], [now]
    parameters: list[Any] = list(values)
    if session is not None:
        where.append(
            "coalesce((SELECT times FROM handed WHERE handed.seq = alerts.seq AND session = ?), 0) < ?"
        )
        parameters += [session, handed_less_than]
        # What is over and was heard is inherited by nobody; what still holds is.
        where.append(
            "NOT (alerts.type = 'task:ended' AND EXISTS"
            " (SELECT 1 FROM handed WHERE handed.seq = alerts.seq AND session <> ?))"
        )
        parameters.append(session)
    if task_id is not None:
        where.append("alerts.task_id = ?")
        parameters.append(task_id)
    rows = await tx.all(
        _select(" AND ".join(where)) + " ORDER BY events.severity DESC, alerts.seq DESC", parameters
    )
    return [_alert_of(row) for row in rows]


async def machine_alerts(tx: Transaction) -> dict[int, str]:
    """Give the alerts about the machine that have not passed, silent or not: each number with its type."""
    rows = await tx.all("SELECT seq, type FROM alerts WHERE cleared_at IS NULL AND task_id IS NULL")
    return {row["seq"]: row["type"] for row in rows}


async def hand_out(tx: Transaction, seqs: Iterable[int], session: str) -> None:
    """Note that a session was given these alerts once more."""
    await tx.run_many(
        "INSERT INTO handed VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
        [(seq, session) for seq in seqs],
    )


async def forget_cleared(tx: Transaction, before: float) -> None:
    """Remove alerts that passed before this time; their events stay."""
    await tx.run("DELETE FROM alerts WHERE cleared_at < ?", (before,))


def _select(where: str) -> str:
    return (
        f"SELECT {EVENT_FIELDS}, submitter, answer, snoozed_until, cleared_at FROM alerts JOIN events USING (seq)"
        f" LEFT JOIN tasks ON tasks.id = alerts.task_id WHERE {where}"
    )


def _alert_of(row: Row) -> Alert:
    fields = len(EVENT_COLUMNS.split(", "))
    submitter, answer, snoozed_until, cleared_at = tuple(row)[fields:]
    submitted_by: JSON | None = None if submitter is None else json.loads(submitter)
    return Alert(event_of(tuple(row)[:fields]), submitted_by, answer, snoozed_until, cleared_at is not None)
