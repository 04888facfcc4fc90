"""Alerts as a caller sees them: what is open and concerns it, and what it answers."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pydantic import Field

from claudine_mcp.core.alerts import HANDED_AT_MOST
from claudine_mcp.core.errors import InvalidInput, NotNow
from claudine_mcp.core.models import JSON, CommandKind, Event
from claudine_mcp.core.units import parse_duration_ms
from claudine_mcp.front import dialogue
from claudine_mcp.front.clients import caller_of, concerns
from claudine_mcp.front.front import Front
from claudine_mcp.front.views import View, moment
from claudine_mcp.registry.alerts import Alert, get_alert, hand_out, open_alerts

SHOWN_AT_MOST = 5
QUESTIONS = frozenset({"allow", "deny"})
ALWAYS = ("continue", "snooze")
"""What can be said to any alert, besides what it suggests: that it is all right, or that it can wait."""


class AlertView(View):
    """An open warning."""

    alert_id: int
    type: str
    severity: str
    task_id: str | None = None
    at: str | None = None
    message: str
    actions: list[str] = Field(description="for AnswerAlert")


@dataclass(frozen=True, slots=True)
class OpenAlerts:
    """What a caller is told now. `more`: how many others are open."""

    alerts: list[AlertView]
    more: int = 0


async def alerts_of(front: Front) -> OpenAlerts:
    """Give what is open and concerns this caller, and note that it was told."""
    async with front.telling:
        mine = await open_to(front)
        shown = mine[:SHOWN_AT_MOST]
        if shown:
            async with front.db.write() as tx:
                await hand_out(tx, [alert.event.seq for alert in shown], caller_of(front).session)
    return OpenAlerts([alert_view(alert.event) for alert in shown], len(mine) - len(shown))


async def open_to(front: Front, *, handed_less_than: int | None = HANDED_AT_MOST) -> list[Alert]:
    """Give what is open and concerns this caller, most severe first; with a number, what it was told less often."""
    async with front.db.read() as tx:
        if handed_less_than is None:
            found = await open_alerts(tx, time.time())
        else:
            session = caller_of(front).session
            found = await open_alerts(tx, time.time(), session=session, handed_less_than=handed_less_than)
    return [alert for alert in found if concerns(front, alert.submitter)]


async def alerts_about(front: Front, task_id: str) -> list[AlertView]:
    """Give what is open about one task, whoever asks."""
    async with front.db.read() as tx:
        found = await open_alerts(tx, time.time(), task_id=task_id)
    return [alert_view(alert.event) for alert in found]


async def answer(
    front: Front, alert_id: int, action: str, *, message: str | None = None, snooze: int | str | None = None
) -> str:
    """Do what an alert suggests; say what was done.

    Args:
        front: the client's side of the state directory.
        alert_id: `seq` of the event that raised it.
        action: one of those that the alert offers.
        message: with `deny`: why.
        snooze: with `snooze`: for how long, in ms or with a unit.

    Raises:
        NotNow: there is no such alert, or it has passed or was answered; the text says which.
        InvalidInput: the action is not offered, or another argument does not fit to it.
    """
    async with front.db.read() as tx:
        alert = await get_alert(tx, alert_id)
        waiting = await open_alerts(tx, time.time())
    if alert is None or alert.cleared:
        others = ", ".join(str(item.event.seq) for item in waiting) or "none"
        what = f"{alert_id} is no alert" if alert is None else f"alert {alert_id} has passed"
        raise NotNow(f"alertId: {what} (open are: {others})")
    offered = actions(alert.event)
    if action not in offered:
        raise InvalidInput(
            "action", f"{action!r} is not offered by alert {alert_id}", f"Offered: {', '.join(offered)}."
        )
    if message is not None and action != "deny":
        raise InvalidInput("message", f"{action} takes none", 'It belongs to "deny".')
    if (snooze is not None) != (action == "snooze"):
        problem = "it is missing" if snooze is None else f"it means nothing with {action}"
        raise InvalidInput("snooze", problem, 'Give how long with "snooze", like "30m".')
    if action in QUESTIONS:
        task_id = await dialogue.answer(front, alert_id, action, message)
        return f"task {task_id} goes on with that answer"
    if action == "cancel":
        _, done = await front.cancel(str(alert.event.task_id), f"the answer to alert {alert_id}")
        return "it was cancelled" if done["changed"] else str(done.get("reason"))
    args: JSON = {"alertId": alert_id, "action": action}
    if snooze is not None:
        args["snoozeMs"] = parse_duration_ms(snooze, "snooze")
    result = await front.command(CommandKind.ANSWER, None, args)
    return str(result["done"])


def actions(event: Event) -> list[str]:
    """Give what can be answered."""
    suggested = [str(item["action"]) for item in event.suggestions]
    return suggested + [
        action for action in ALWAYS if action not in suggested and not QUESTIONS & {*suggested}
    ]


def alert_view(event: Event) -> AlertView:
    """Show an alert."""
    return AlertView(
        alert_id=event.seq,
        type=event.type,
        severity=event.severity,
        task_id=event.task_id,
        at=moment(event.at),
        message=event.message,
        actions=actions(event),
    )
