"""Questions of delegated runs as forms for a client's user, and what comes back. The same in both eras."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from claudine_mcp.core.errors import NotFound, NotNow
from claudine_mcp.core.models import JSON
from claudine_mcp.core.terminal import show
from claudine_mcp.front.dialogue import answer
from claudine_mcp.front.front import Front
from claudine_mcp.front.questions import Question, decided

MAX_LINES = 30
MAX_FIELDS = 20
MAX_LINE_CHARS = 2000
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
            "description": "with deny only, if you like: why, or what to do instead",
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

    @model_validator(mode="after")
    def _message_with_deny(self) -> Self:
        if self.message and self.decision == "allow":
            raise ValueError("what is allowed is done without a word")
        return self


class Reply(BaseModel):
    """What a client answers when it was asked to show a form."""

    model_config = ConfigDict(extra="ignore")

    action: Literal["accept", "decline", "cancel"]
    content: JSON | None = None


def reply_of(reply: object) -> Reply:
    """Read what a client answers.

    Raises:
        ValueError: it is nothing that a client may answer.
    """
    return Reply.model_validate(reply)


def filled(reply: object) -> Filled | None:
    """Read what came back; None: nobody has decided anything.

    Raises:
        ValueError: it is no answer to this form.
    """
    read = reply_of(reply)
    if read.action == "cancel":  # also what a program answers that has nobody to ask
        return None
    if read.action == "decline":
        return Filled(decision="deny")
    return Filled.model_validate(read.content or {})


def form(question: Question, *, again: bool = False) -> JSON:
    """Give the parameters of an elicitation for a question; `again`, if what came back before was no answer."""
    asked = question.asked
    lines = [
        f"{clean(question.task.name)} (task {question.task.id}) asks to use {clean(asked.tool)}:",
        *_shown(asked.input),
        f"Unanswered until {asked.until}, it is denied.",
    ]
    if again:
        lines.insert(0, "That was no answer: choose allow or deny. A message goes with deny only.")
    return elicitation("\n".join(lines), SCHEMA)


def notice(text: str) -> JSON:
    """Give the parameters of an elicitation that asks nothing."""
    return elicitation(text, NOTHING_TO_FILL_IN)


def elicitation(message: str, schema: JSON) -> JSON:
    """Give the parameters with which a client is asked to show a form."""
    return {"mode": "form", "message": message, "requestedSchema": schema}


def _shown(given: JSON) -> list[str]:
    """Give a tool's input for reading, with control characters spelt out: of every field something, if not all."""
    texts = {
        key: (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).split("\n")
        for key, value in given.items()
    }
    shown = list(texts)[:MAX_FIELDS]
    room = MAX_LINES - len(shown)
    most = dict.fromkeys(shown, 1)
    # The shortest first, so that what they leave is for the longer ones.
    for left, key in zip(
        range(len(shown), 0, -1), sorted(shown, key=lambda key: len(texts[key])), strict=True
    ):
        more = min(len(texts[key]) - 1, room // left)
        most[key] += more
        room -= more
    lines = [line for key in shown for line in _field(key, texts[key], most[key])]
    if len(shown) < len(texts):
        lines.append(f"  … {len(texts) - len(shown)} more fields; TaskStatus shows all of it")
    return lines


def _field(key: str, lines: Sequence[str], most: int) -> list[str]:
    """Give a field in about so many lines; where it has more, some of its middle are left out and counted."""
    if len(lines) > most:
        head = max(1, most // 2)
        tail = most - head
        missing = f"… {len(lines) - most} more lines; TaskStatus shows all of it"
        lines = [*lines[:head], missing, *lines[len(lines) - tail :]]
    first, *rest = lines
    return [f"  {clean(key)}: {clean(first)}", *(f"    {clean(line)}" for line in rest)]


def clean(text: str) -> str:
    """Spell out control characters."""
    # Nothing is obeyed: a command that rewrites its own line must not look like another one.
    return show(text.encode("utf-8", "surrogatepass"), as_is=True, max_chars=MAX_LINE_CHARS).text


async def submit(front: Front, alert_id: int, chosen: Filled) -> str | None:
    """Answer a question as a user has decided.

    Returns:
        What the user must be told, if somebody else's decision was faster and a different one.

    Raises:
        ClaudineError: the answer could not be given to the supervisor.
    """
    try:
        await answer(front, alert_id, chosen.decision, chosen.message or None)
    except (NotNow, NotFound):
        before = await decided(front, alert_id)
        if before is None:  # it waits on, so the decision is not lost
            raise
        if before[0] != chosen.decision:
            return f"Your answer came too late: {before[1]}."
    return None
