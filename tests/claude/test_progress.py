"""How far the real Claude Code says that it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import Home, ended, events_of, wait_for

from claudine_mcp.core.models import Task
from claudine_mcp.front.delegate import DelegateRequest, delegate
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.progress_views import ProgressView

pytestmark = pytest.mark.claude

GATE = "until test -e {0}; do sleep 0.02; done"
"""A command that lasts until the test makes a file."""


def change(task_id: int, **fields: str) -> str:
    return f"tool TaskUpdate {json.dumps({'taskId': str(task_id), **fields})}"


async def progress_of(front: Front, task: Task, **wanted: Any) -> ProgressView:
    async def there() -> ProgressView | None:
        view = (await task_view(front, task.id)).progress
        if view is None or any(getattr(view, name) != value for name, value in wanted.items()):
            return None
        return view

    found = await wait_for(there, what=f"progress with {wanted}")
    assert found is not None
    return found


async def test_its_task_list_is_its_progress(claude_home: Home) -> None:
    script = " | ".join(
        [
            "tasks read it; mend it",
            change(1, status="in_progress", activeForm="Reading it"),
            f"bash {GATE.format('one')}",
            change(1, status="completed"),
            change(2, status="in_progress", activeForm="Mending it"),
            f"bash {GATE.format('two')}",
            "text done",
        ]
    )
    async with claude_home.front() as front:
        task = await delegate(front, DelegateRequest(f"FAKE: {script}", allowed_tools=["Bash"], max_turns=50))
        view = await progress_of(front, task, percent=0.0, phase="Reading it")
        assert (view.source, view.done, view.total) == ("todos", 0, 2)
        (event,) = await wait_for(lambda: events_of(front, task, "task:progress"), what="the event")
        assert event.data == {"taskId": task.id, "percent": 0.0, "phase": "Reading it"}
        (claude_home.work / "one").touch()
        await progress_of(front, task, percent=50.0, phase="Mending it")
        (claude_home.work / "two").touch()
        await ended(front, task, timeout_s=90)


async def test_without_a_list_its_turns_and_its_tool_are_told_and_its_own_report(claude_home: Home) -> None:
    tells = "echo 70 mending >> $CLAUDINE_PROGRESS"
    script = f"bash echo 1 | bash {GATE.format('one')}; {tells}; {GATE.format('two')} | text done"
    async with claude_home.front() as front:
        task = await delegate(front, DelegateRequest(f"FAKE: {script}", allowed_tools=["Bash"], max_turns=8))
        view = await progress_of(front, task, percent=25.0, source="turns")
        assert view.phase is not None
        assert view.phase.startswith("Bash (until test")
        eta = (await task_view(front, task.id)).eta
        assert eta is not None
        assert eta.unknown is not None
        assert eta.unknown.startswith(
            "its turns say how much it may still do, not how much there is to do; 0 earlier"
        )
        assert await events_of(front, task, "task:progress") == []
        (claude_home.work / "one").touch()
        await progress_of(front, task, percent=70.0, phase="mending", source="file")
        (claude_home.work / "two").touch()
        await ended(front, task, timeout_s=90)


async def test_what_it_did_last_is_not_left_standing(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await delegate(front, DelegateRequest("FAKE: bash echo 1 | text done", allowed_tools=["Bash"]))
        await ended(front, task, timeout_s=90)
        view = await task_view(front, task.id)
        assert (view.progress, view.eta) == (None, None)
