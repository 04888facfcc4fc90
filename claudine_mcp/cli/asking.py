"""Questions of delegated Claude Codes: how they are shown, and how they are told to whoever waits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from claudine_mcp.cli.console import PROGRAM, note, say, table
from claudine_mcp.core.models import Task
from claudine_mcp.core.units import human_duration, parse_time, printable
from claudine_mcp.front.dialogue import follow_questions
from claudine_mcp.front.front import Front
from claudine_mcp.front.views import QuestionView, TaskRow


def answers(question: QuestionView) -> str:
    """Give the commands that answer a question."""
    return f"`{PROGRAM} answer {question.alert_id} allow` or `deny`"


def denied_in(question: QuestionView) -> str:
    """Say how long it waits for an answer."""
    return human_duration(max(0.0, parse_time(question.until, "until") - time.time()))


def asks(question: QuestionView) -> str:
    """Say what is asked for, and how to answer."""
    return f"asks to use {question.summary}: {answers(question)}"


def questions_table(asking: Sequence[tuple[TaskRow, QuestionView]]) -> None:
    """Write what tasks ask, a line each."""
    cells = [
        [str(question.alert_id), row.task_id, row.name, denied_in(question), question.summary]
        for row, question in asking
    ]
    table(["QUESTION", "ID", "NAME", "DENIED IN", "ASKS TO USE"], cells, shorten=2)
    say(f"`{PROGRAM} answer QUESTION allow` or `deny` answers; `{PROGRAM} status ID` shows all of it")


def tell_questions(front: Front, task_ids: Sequence[str]) -> Callable[[], Awaitable[None]]:
    """Give what tells, for as long as it runs, of every question that these tasks ask."""

    def tell(task: Task, question: QuestionView) -> None:
        limit = f"without an answer it is denied in {denied_in(question)}"
        # Never `told`: what it wants to run may hold the name of a tool, and must not be shown as anything else.
        note(printable(f"task {task.id} {asks(question)}; {limit}"))

    return lambda: follow_questions(front, task_ids, tell)
