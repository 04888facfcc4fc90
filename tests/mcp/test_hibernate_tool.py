"""HibernateTask, and what leads to it: an alert's answer, and a task's consent."""

from __future__ import annotations

import time
from typing import Any

import pytest
from forms import connected
from support import Home, ended, in_state, wait_for

from claudine_mcp.core.announcing import suggestions
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.findings import Finding
from claudine_mcp.core.models import Event, Severity
from claudine_mcp.core.resources import checked_resources
from claudine_mcp.core.rules.memory import CRITICAL_MEMORY
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.alerts import answer
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.registry.events import add_event

GATED = "echo 1 >> begun; until test -e open; do sleep 0.02; done"


async def test_a_task_is_hibernated_and_resumed_by_tools(home: Home) -> None:
    async with connected(home) as client, home.front() as front:
        submitted = await client.call("RunCommand", command=GATED, restartable=True)
        task_id = submitted["taskId"]
        await in_state(front, task_id, State.RUNNING)
        await wait_for(lambda: home.lines("begun"))
        done = await client.call("HibernateTask", taskId=task_id, reason="room is needed")
        assert (done["state"], done["freedBytes"] > 0) == ("hibernated", True)
        assert "ResumeTask starts it again from its beginning" in done["done"]
        shown = await client.call("TaskStatus", taskId=task_id)
        assert (shown["state"], shown["stopped"]["by"]) == ("hibernated", "user")
        assert shown["stopped"]["why"] == "room is needed"
        (home.work / "open").touch()
        resumed = await client.call("ResumeTask", taskId=task_id)
        assert resumed["state"] in {"queued", "starting", "running"}
        assert (await ended(front, task_id)).outcome is Outcome.SUCCEEDED


async def test_hibernate_is_an_answer_to_an_alert_about_memory(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(GATED, restartable=True))
        await in_state(front, task, State.RUNNING)
        await wait_for(lambda: home.lines("begun"))
        offered = suggestions(Finding(CRITICAL_MEMORY, Severity.CRITICAL, {}))
        async with front.db.write() as tx:
            alert = await add_event(
                tx,
                Event(CRITICAL_MEMORY, Severity.CRITICAL, "m", time.time(), task.id, suggestions=offered),
            )
        said = await answer(front, alert, "hibernate")
        assert "of memory are free again" in said
        resting = await front.task(task.id)
        assert (resting.state, (resting.stopped or {})["why"]) == (
            State.HIBERNATED,
            f"the answer to alert {alert}",
        )
        await front.cancel(task.id)


async def test_a_tasks_consent_is_kept_with_it(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest("true", resources={"canCheckpoint": True}))
        assert (await front.task(task.id)).spec["resources"] == {"canCheckpoint": True}
        await ended(front, task)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"memory": "1GB"},
            "resources: 'memory' is none of its members. Give minMemory, preferredMemory, canCheckpoint, priority.",
        ),
        (
            {"minMemory": "2GB", "preferredMemory": "1GB"},
            "resources.preferredMemory: 1 GB is less than minMemory, 2 GB. Give at least as much, or leave one out.",
        ),
        ({"canCheckpoint": "yes"}, "resources.canCheckpoint: 'yes' is no truth value. Give true or false."),
    ],
)
def test_what_a_task_cannot_say_of_its_resources_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked_resources(given)
    assert str(refused.value) == problem
