"""How a delegated Claude Code looks: what it does and asks, what it has answered, and what it cost."""

from __future__ import annotations

import json
import time
from typing import Any

from claudine_mcp.cli.asking import answers, denied_in
from claudine_mcp.cli.console import say
from claudine_mcp.core.terminal import show
from claudine_mcp.core.units import human_duration, parse_time, printable
from claudine_mcp.front.views import PhaseView, QuestionView, TaskView

INPUT_CHARS = 20_000
"""Of each field of what a tool is to be called with; --json has all of it."""
SMALL_USD = 0.1
"""Below, cents alone would tell too little."""
DOING = {
    "starting": "starting",
    "model": "waiting for the model",
    "tool": "using",
    "retrying": "asking the API again",
    "rate_limited": "waiting for a limit of the API",
    "result": "has answered, and has not ended yet",
    "background": "has answered; work in the background goes on",
}

Fields = list[tuple[str, str | None]]


def claude_fields(view: TaskView) -> Fields:
    """Give what only a delegated Claude Code has; nothing of another task."""
    if view.session_id is None:
        return []
    background = None if not view.background else "; ".join(view.background)
    refused = [
        f"{item['tool']} ({item['summary']})" if item["summary"] else item["tool"]
        for item in view.permission_denials or ()
    ]
    return [
        *question_fields(view.question),
        ("doing", None if view.phase is None or view.question is not None else doing(view.phase)),
        ("to do", plan(view.todos or [])),
        ("background", background),
        ("refused", "; ".join(refused) or None),
        ("not read", "; ".join(view.unread_messages or ()) or None),
        ("turns", None if view.turns is None else str(view.turns)),
        ("cost", cost(view)),
        ("model", view.model),
        ("session", view.session_id),
    ]


def question_fields(question: QuestionView | None) -> Fields:
    """Give what is asked for: a person is to decide about it, so of what is very long both ends are shown."""
    if question is None:
        return []
    given: Fields = [(f"  {name}", _value(value)) for name, value in question.input.items()]
    how = f"{answers(question)}; in {denied_in(question)} it is denied"
    return [("asks to use", question.tool), *given, ("answer", how)]


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = show(text.encode("utf-8", "surrogatepass"), as_is=True, max_chars=INPUT_CHARS)
    return shown.text


def doing(phase: PhaseView) -> str:
    """Say what it does, and for how long it has."""
    text = DOING[phase.name]
    if phase.tools:
        text += f" {', '.join(phase.tools)}"
    if phase.attempt is not None:
        text += f" ({phase.attempt}{f': {phase.error}' if phase.error else ''})"
    if phase.until is not None:
        text += f", until {phase.until}"
    if phase.since is not None:
        text += f", for {human_duration(max(0.0, time.time() - parse_time(phase.since, 'since')))}"
    return text


def plan(todos: list[dict[str, str]]) -> str | None:
    """Say how far it has come with its list, and where it is."""
    if not todos:
        return None
    done = sum(item["status"] == "completed" for item in todos)
    now = [item["text"] for item in todos if item["status"] == "in_progress"]
    return f"{done} of {len(todos)} done" + (f"; now: {'; '.join(now)}" if now else "")


def cost(view: TaskView) -> str | None:
    """Say what the last run has cost and, where there were others, the session."""
    if view.cost_usd is None:
        return None
    text = dollars(view.cost_usd)
    total = view.total_cost_usd
    if total is not None and total != view.cost_usd:
        text += f"; the session {dollars(total)}"
    if view.budget_left_usd is not None:
        text += f"; {dollars(view.budget_left_usd)} of its budget are left"
    return text


def dollars(amount: float) -> str:
    """Write an amount; a small one with as many digits as tell something."""
    return f"${amount:.4f}" if 0 < amount < SMALL_USD else f"${amount:.2f}"


def show_result(view: TaskView) -> None:
    """Write its last answer, line by line."""
    if view.result is not None:
        say()
        for line in view.result.splitlines():
            say(printable(line))
