"""What a client's user is asked by a form: questions of delegated runs, and what to do about warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from claudine_mcp.core.models import JSON
from claudine_mcp.front.alert_views import AlertView
from claudine_mcp.front.alerts import choices_for
from claudine_mcp.front.front import Front
from claudine_mcp.front.questions import Question, questions_for
from claudine_mcp.server import choices, forms

Kind = Literal["permission", "choice"]
Askable = Question | AlertView
Decision = forms.Filled | choices.Choice


async def askable(front: Front, task_ids: Sequence[str] = ()) -> list[Askable]:
    """Give what this client may put to its user; of these tasks only, unless there are none."""
    return [*await questions_for(front, task_ids), *await choices_for(front, task_ids)]


def alert_of(item: Askable) -> int:
    """Give the number of the alert that it is about."""
    return item.asked.alert_id if isinstance(item, Question) else item.alert_id


def kind_of(item: Askable) -> Kind:
    """Say which form it has."""
    return "permission" if isinstance(item, Question) else "choice"


def form_of(item: Askable, *, again: bool = False) -> JSON:
    """Give the parameters of its elicitation; `again`, if what came back before was no answer."""
    return forms.form(item, again=again) if isinstance(item, Question) else choices.form(item, again=again)


def read(kind: Kind, reply: object) -> Decision | None:
    """Read what came back; None: nobody has decided anything.

    Raises:
        ValueError: it is no answer to this form.
    """
    return forms.filled(reply) if kind == "permission" else choices.filled(reply)


async def submit(front: Front, alert_id: int, decision: Decision) -> str | None:
    """Do as a user has decided.

    Returns:
        What the user must be told, if it was too late.

    Raises:
        ValueError: it is no answer to this alert.
        ClaudineError: it could not be given to the supervisor.
    """
    if isinstance(decision, forms.Filled):
        return await forms.submit(front, alert_id, decision)
    return await choices.submit(front, alert_id, decision)
