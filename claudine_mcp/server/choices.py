"""Warnings as forms for a client's user, and what comes back: go on, end it, later. The same in both eras."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from claudine_mcp.core.errors import NotFound, NotNow
from claudine_mcp.core.models import JSON
from claudine_mcp.core.units import parse_duration_ms
from claudine_mcp.front.alert_views import AlertView
from claudine_mcp.front.alerts import LATER, answer
from claudine_mcp.front.front import Front
from claudine_mcp.server.forms import clean, elicitation, reply_of

MEANINGS = {
    "continue": "let it go on; you hear of it when something changes",
    "suspend": "stop it where it is, until it is resumed; its memory stays taken",
    "hibernate": "end its processes, which frees its memory, and go on later (ResumeTask)",
    "resume": "let it go on from where it was stopped",
    "cancel": "end it, with everything that it started",
    "snooze": f"ask again later: in {LATER}, or as long as is said below",
}

DEEDS = {"resume": 1, "suspend": 2, "hibernate": 3, "cancel": 4}
"""What does something to the task, by how much."""


class Choice(BaseModel):
    """A form as it was filled in; one that names no action is none that was filled in."""

    model_config = ConfigDict(extra="ignore")

    action: str
    snooze: str | None = None


def form(alert: AlertView, *, again: bool = False) -> JSON:
    """Give the parameters of an elicitation for a warning; `again`, if what came back before was no answer."""
    # A client may offer the first one as the default, and that must not do anything to the task.
    actions = sorted(alert.actions, key=lambda action: DEEDS.get(action, 0))
    lines = [clean(alert.message), *(f"  {action}: {MEANINGS.get(action, action)}" for action in actions)]
    if again:
        lines.insert(
            0, f"That was no answer: choose one of {', '.join(actions)}. A time goes with snooze only."
        )
    schema = {
        "type": "object",
        "properties": {
            "action": {"type": "string", "title": "What to do", "enum": actions},
            "snooze": {
                "type": "string",
                "title": "Ask again in",
                "description": f'with snooze only, if you like: how long, as "30m" or "2h"; else {LATER}',
            },
        },
        "required": ["action"],
    }
    return elicitation("\n".join(lines), schema)


def filled(reply: object) -> Choice | None:
    """Read what came back; None: nothing was chosen. Whoever declines has not said what is to be done.

    Raises:
        ValueError: it is no answer to this form.
    """
    read = reply_of(reply)
    if read.action != "accept":
        return None
    choice = Choice.model_validate(read.content or {})
    snooze = (choice.snooze or "").strip() or None
    if choice.action != "snooze":
        if snooze is not None:
            raise ValueError(f"snooze: it means nothing with {choice.action}")
        return Choice(action=choice.action)
    parse_duration_ms(snooze or LATER, "snooze")
    return Choice(action="snooze", snooze=snooze or LATER)


async def submit(front: Front, alert_id: int, chosen: Choice) -> str | None:
    """Do what a user has chosen.

    Returns:
        What the user must be told, if it could not be done any more.

    Raises:
        ValueError: the alert does not offer this.
        ClaudineError: it could not be given to the supervisor.
    """
    try:
        await answer(front, alert_id, chosen.action, snooze=chosen.snooze)
    except (NotNow, NotFound) as error:
        return f"Nothing was done: {error}"
    return None
