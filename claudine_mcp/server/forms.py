"""Questions of delegated runs as forms for a client's user, and what comes back. The same in both eras."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from claudine_mcp.core.errors import NotFound, NotNow
from claudine_mcp.core.models import JSON
from claudine_mcp.core.terminal import render_line
from claudine_mcp.core.units import format_time
from claudine_mcp.front.alerts import answer
from claudine_mcp.front.front import Front
from claudine_mcp.front.questions import Question, decision

MAX_LINES = 30
MAX_LINE_CHARS = 400
SCHEMA: JSON = {
    "type": "object",
    "properties": {
        "decision": {
            "type": "string",
            "title": "Decision",
            "description": "allow: this once",
            "enum": ["allow", "deny"],
        },
        "message": {
            "type": "string",
            "title": "Message",
            "description": "with deny, if you like: why, or what to do instead",
        },
    },
    "required": ["decision"],
}
NOTHING_TO_FILL_IN: JSON = {"type": "object", "properties": {}}


class Filled(BaseModel):
    """A form as it was filled in."""

    model_config = ConfigDict(extra="ignore")

    decision: Literal["allow", "deny"]
    message: str | None = None


class Reply(BaseModel):
    """What a client answers when it was asked to show a form."""

    model_config = ConfigDict(extra="ignore")

    action: Literal["accept", "decline", "cancel"]
    content: JSON | None = None


def filled(reply: object) -> Filled | None:
    """Read what came back; None: nobody has decided anything.

    Raises:
        ValueError: it is no answer to this form.
    """
    read = Reply.model_validate(reply)
    if read.action == "cancel":  # also what a program answers that has nobody to ask
        return None
    if read.action == "decline":
        return Filled(decision="deny")
    return Filled.model_validate(read.content or {})


def form(question: Question, *, again: bool = False) -> JSON:
    """Give the parameters of an elicitation for a question; `again`, if what came back before was no answer."""
    name = _clean(question.task.name)
    lines = [
        f"{name} (task {question.task.id}) asks to use {_clean(question.tool)}:",
        *_shown(question.input),
    ]
    if question.until:
        lines.append(f"Unanswered until {format_time(question.until)}, it is denied.")
    if again:
        lines.insert(0, "That was no answer: choose allow or deny.")
    return _elicitation("\n".join(lines), SCHEMA)


def notice(text: str) -> JSON:
    """Give the parameters of an elicitation that asks nothing."""
    return _elicitation(text, NOTHING_TO_FILL_IN)


def _elicitation(message: str, schema: JSON) -> JSON:
    return {"mode": "form", "message": message, "requestedSchema": schema}


def _shown(given: JSON) -> list[str]:
    """Give a tool's input for reading: every field, and no control character."""
    lines: list[str] = []
    for key, value in given.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *rest = text.split("\n")
        lines += [f"  {_clean(key)}: {_clean(first)}", *(f"    {_clean(line)}" for line in rest)]
    if len(lines) > MAX_LINES:
        left_out = len(lines) - MAX_LINES + 1
        lines[MAX_LINES - 1 :] = [f"  … {left_out} more lines; TaskStatus shows all of it"]
    return lines


def _clean(text: str) -> str:
    return render_line(text.encode("utf-8", "surrogatepass"), max_chars=MAX_LINE_CHARS)


async def submit(front: Front, alert_id: int, chosen: Filled) -> str | None:
    """Answer a question as a user has decided.

    Returns:
        What the user must be told, if somebody else's decision was faster and a different one.

    Raises:
        ClaudineError: the answer could not be given to the supervisor.
    """
    try:
        message = chosen.message if chosen.decision == "deny" else None
        await answer(front, alert_id, chosen.decision, message=message)
    except (NotNow, NotFound):
        decided = await decision(front, alert_id)
        if decided is None:
            return "Your answer came too late: the task had ended, and with it the question."
        if decided.data.get("behavior") != chosen.decision:
            return f"Your answer came too late: {decided.message}."
    return None
