"""Delegated runs in tests: handed over, looked at and spoken to, as a client does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support import Home, ended, wait_for

from claudine_mcp.core.models import JSON, CommandKind, Task
from claudine_mcp.front.delegate import DelegateRequest, delegate
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.views import QuestionView, TaskView

LIMIT_S = 90.0
"""A run takes one or two seconds; the rest is for a busy machine."""

GATE = "until test -e open; do sleep 0.02; done"
"""A command that lasts until the test makes the file ``open``."""

BASH: dict[str, Any] = {"allowed_tools": ["Bash"]}


async def handed_over(front: Front, script: str, **options: Any) -> Task:
    """Delegate a prompt with a script for the fake model; give the task."""
    return await delegate(front, DelegateRequest(f"FAKE: {script}", **options))


async def run(front: Front, script: str, **options: Any) -> tuple[Task, TaskView]:
    """Delegate, and wait for the end; give the task and what is shown of it."""
    task = await handed_over(front, script, **options)
    return await ended(front, task, LIMIT_S), await task_view(front, task.id)


async def retried(front: Front, task: Task, mode: str | None = None) -> Task:
    """Have an ended task run again, and wait for the end; give the task."""
    await front.command(CommandKind.RETRY, task.id, {} if mode is None else {"mode": mode})
    return await ended(front, task, LIMIT_S)


async def asked(front: Front, task: Task, after: int = 0) -> QuestionView:
    """Wait until a task asks a question that was raised after this one; give it."""

    async def question() -> QuestionView | None:
        found = (await task_view(front, task.id)).question
        return found if found is not None and found.alert_id > after else None

    found = await wait_for(question, LIMIT_S, what="a question")
    assert found is not None
    return found


async def answer(front: Front, question: QuestionView, action: str, **more: Any) -> JSON:
    """Answer a question."""
    return await front.command(
        CommandKind.ANSWER, None, {"alertId": question.alert_id, "action": action, **more}
    )


async def say(front: Front, task: Task, message: str, *, interrupt: bool = False) -> JSON:
    """Send a message to a run; give what became of it."""
    return await front.command(CommandKind.SEND, task.id, {"message": message, "interrupt": interrupt})


async def using(front: Front, task: Task, tool: str = "Bash") -> None:
    """Wait until a run waits for a tool."""

    async def is_using() -> bool:
        phase = (await task_view(front, task.id)).phase
        return phase is not None and any(tool in label for label in phase.tools or [])

    await wait_for(is_using, LIMIT_S, what=f"{tool} is running")


async def in_phase(front: Front, task: Task, name: str) -> None:
    """Wait until a run is in a phase."""

    async def is_there() -> bool:
        phase = (await task_view(front, task.id)).phase
        return phase is not None and phase.name == name

    await wait_for(is_there, LIMIT_S, what=f"the phase {name}")


def printed(home: Home, task: Task, kind: str | None = None, n: int = 1) -> list[JSON]:
    """Give the complete lines that a run has printed, of one type if that is given."""
    whole = home.output(task, n=n).rpartition("\n")[0]
    return [line for line in map(json.loads, whole.splitlines()) if kind in {None, line.get("type")}]


def set_up(home: Home, **claude: Any) -> None:
    """Add to the user's settings for Claude Code."""
    home.configure(claude={"command": claude_command(home), **claude})


def claude_command(home: Home) -> str:
    """Give the Claude Code that tasks of this state directory start."""
    return json.loads(Path(home.env["CLAUDINE_CONFIG"]).read_text(encoding="utf-8"))["claude"]["command"]


def program_that(home: Home, name: str, script: str) -> str:
    """Make an executable shell script; give its path."""
    path = home.folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)
