"""Alerts as a caller sees them: what is open and concerns it, and what it answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from claudine_mcp.core.alerts import HANDED_AT_MOST, OFFERED, asks_permission
from claudine_mcp.core.errors import AlertNotFound, InvalidInput
from claudine_mcp.core.models import JSON, CommandKind
from claudine_mcp.core.units import parse_duration_ms
from claudine_mcp.front import dialogue
from claudine_mcp.front.alert_views import QUESTIONS, AlertView, actions, alert_view
from claudine_mcp.front.clients import caller_of, concerns
from claudine_mcp.front.controls import CONTROLS
from claudine_mcp.front.front import Front
from claudine_mcp.registry.alerts import Alert, get_alert, hand_out, open_alerts
from claudine_mcp.registry.commands import open_questions
from claudine_mcp.registry.questions import QUESTION

SHOWN_AT_MOST = 5
LATER = "10m"


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


async def open_to(
    front: Front, task_ids: Sequence[str] = (), *, handed_less_than: int | None = HANDED_AT_MOST
) -> list[Alert]:
    """Give what is open and concerns this caller, most severe first.

    Args:
        front: the caller's side of the state directory.
        task_ids: only what is about these, unless there are none.
        handed_less_than: only what it was told less often; None: whatever it was told.
    """
    async with front.db.read() as tx:
        if handed_less_than is None:
            found = await open_alerts(tx, time.time())
        else:
            session = caller_of(front).session
            found = await open_alerts(tx, time.time(), session=session, handed_less_than=handed_less_than)
    wanted = [alert for alert in found if not task_ids or alert.event.task_id in task_ids]
    return [alert for alert in wanted if concerns(front, alert.submitter)]


async def choices_for(front: Front, task_ids: Sequence[str] = ()) -> list[AlertView]:
    """Give the warnings that suggest what to do and concern this client; of these tasks only, unless there are none."""
    return [
        alert_view(alert.event)
        for alert in await open_to(front, task_ids, handed_less_than=None)
        if alert.event.suggestions and not asks_permission(alert.event)
    ]


async def answer(
    front: Front, alert_id: int, action: str, *, message: str | None = None, snooze: int | str | None = None
) -> str:
    """Do what an alert suggests; say what was done.

    Args:
        front: the client's side of the state directory.
        alert_id: `seq` of the event that raised it.
        action: one of those that the alert offers.
        message: with `deny`: why.
        snooze: with `snooze`: for how long, in ms or with a unit; None: for `LATER`.

    Raises:
        AlertNotFound: there is no such alert, or it has passed.
        QuestionNotFound: it is a question that does not wait any more.
        NotNow: the same, in this very moment.
        InvalidInput: the action is not offered, or another argument does not fit to it.
    """
    _check(action, message, snooze)
    async with front.db.read() as tx:
        alert = await get_alert(tx, alert_id)
    if action in QUESTIONS and (alert is None or alert.event.type == QUESTION):
        task_id = await dialogue.answer(front, alert_id, action, message)
        return f"task {task_id} goes on with that answer"
    if alert is None or alert.cleared:
        async with front.db.read() as tx:
            others = [item.event.seq for item in await open_alerts(tx, time.time())]
        raise AlertNotFound(alert_id, others, "there is none" if alert is None else "it has passed")
    offered = actions(alert.event)
    if action not in offered:
        raise InvalidInput(
            "action", f"{action!r} is not offered by alert {alert_id}", f"Offered: {', '.join(offered)}."
        )
    if action in QUESTIONS:  # it warns that a question waits
        task_id = await dialogue.answer(front, await _question_behind(front, alert), action, message)
        return f"task {task_id} goes on with that answer"
    if action == "cancel":
        _, done = await front.cancel(str(alert.event.task_id), f"the answer to alert {alert_id}")
        return "it was cancelled" if done["changed"] else str(done.get("reason"))
    args: JSON = {"alertId": alert_id, "action": action}
    if action in CONTROLS:
        said = await CONTROLS[action](front, str(alert.event.task_id), f"the answer to alert {alert_id}")
        await front.command(CommandKind.ANSWER, None, args)
        return said
    if action == "snooze":
        args["snoozeMs"] = parse_duration_ms(LATER if snooze is None else snooze, "snooze")
    result = await front.command(CommandKind.ANSWER, None, args)
    return str(result["done"])


async def _question_behind(front: Front, alert: Alert) -> int:
    """Give the number of the question because of which a task is stalled."""
    async with front.db.read() as tx:
        asked = [
            item.args["alertId"] for item in await open_questions(tx) if item.task_id == alert.event.task_id
        ]
    if not asked:
        raise AlertNotFound(alert.event.seq, [], "what it was about has been answered")
    return min(asked)


def _check(action: str, message: str | None, snooze: int | str | None) -> None:
    if action not in OFFERED:
        raise InvalidInput("action", f"{action!r} is none", f"Give one of {', '.join(sorted(OFFERED))}.")
    if message is not None and action not in QUESTIONS:
        raise InvalidInput("message", f"{action} takes none", 'It belongs to "deny".')
    if snooze is not None and action != "snooze":
        raise InvalidInput("snooze", f"it means nothing with {action}", 'It belongs to "snooze".')
