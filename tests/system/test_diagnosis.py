"""What is wrong with a real run is recognised, told once, and cleared once, whatever happens to the supervisor."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from alerting import alerts_about
from support import Home, ended, in_state, wait_for

from claudine_mcp.core.errors import InvalidInput, NotNow
from claudine_mcp.core.models import Event, Severity, Task
from claudine_mcp.core.states import State
from claudine_mcp.front.alerts import alerts_of, answer
from claudine_mcp.front.following import events_page
from claudine_mcp.front.front import Front
from claudine_mcp.front.monitoring import configure, settings_in_force
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.front.updating import update_task

PRINTS_WHEN_TOLD = """
until test -e release; do
    if test -e speak; then rm speak; echo word; fi
    sleep 0.05
done
"""
"""Silent, but not still, until it is told to speak; ends when it is released."""


@pytest.fixture
def quick(home: Home) -> Home:
    """A home in which a tick comes soon, and silence is soon too long."""
    home.configure(monitoring={"sampleInterval": "100ms", "stallThreshold": "1s"})
    return home


@asynccontextmanager
async def silent(home: Home, **more: Any) -> AsyncGenerator[tuple[Front, Task]]:
    async with home.front(keep=True) as front:
        task = await front.submit_command(CommandRequest(PRINTS_WHEN_TOLD, name="the import", **more))
        try:
            await in_state(front, task, State.RUNNING)
            yield front, task
        finally:
            (home.work / "release").touch()
            await ended(front, task)


async def told(front: Front, task: Task, *types: str) -> list[Event]:
    page = await events_page(front, 0, min_severity=Severity.DEBUG)
    return [event for event in page.events if event.task_id == task.id and event.type in types]


def raised(
    front: Front, task: Task, kind: str, times: int = 1
) -> Callable[[], Awaitable[list[Event] | None]]:
    async def look() -> list[Event] | None:
        found = await told(front, task, kind)
        return found if len(found) == times else None

    return look


async def test_a_silence_is_told_once_and_cleared_once_and_told_again_when_it_comes_back(quick: Home) -> None:
    async with silent(quick) as (front, task):
        (stalled,) = await wait_for(raised(front, task, "task:stalled")) or []
        assert stalled.severity is Severity.WARNING
        assert stalled.message.startswith(f"the import ({task.id}) has been silent for ")
        assert stalled.data["stalledFor"] >= 1000
        assert {"taskId", "lastActivity", "why"} <= stalled.data.keys()
        (alert,) = await alerts_about(front, task.id)
        assert (alert.alert_id, alert.actions) == (stalled.seq, ["continue", "cancel", "snooze"])
        (quick.work / "speak").touch()
        (recovered,) = await wait_for(raised(front, task, "task:recovered")) or []
        assert recovered.data["of"] == "task:stalled"
        assert await alerts_about(front, task.id) == []
        await wait_for(raised(front, task, "task:stalled", 2))
        types = [event.type for event in await told(front, task, "task:stalled", "task:recovered")]
        assert types == ["task:stalled", "task:recovered", "task:stalled"]


async def test_an_answered_silence_is_quiet_until_something_changes(quick: Home) -> None:
    async with silent(quick) as (front, task):
        (stalled,) = await wait_for(raised(front, task, "task:stalled")) or []
        await answer(front, stalled.seq, "continue")
        assert await alerts_about(front, task.id) == []
        (quick.work / "speak").touch()
        await wait_for(raised(front, task, "task:stalled", 2))
        assert len(await alerts_about(front, task.id)) == 1


async def test_the_next_supervisor_neither_tells_it_twice_nor_forgets_to_clear_it(quick: Home) -> None:
    async with silent(quick) as (front, task):
        await wait_for(raised(front, task, "task:stalled"))
        await quick.kill_supervisor()
        await wait_for(lambda: _adopted(front), what="another supervisor")
        (quick.work / "speak").touch()
        (recovered,) = await wait_for(raised(front, task, "task:recovered")) or []
        before = [event for event in await told(front, task, "task:stalled") if event.seq < recovered.seq]
        assert len(before) == 1


async def _adopted(front: Front) -> bool:
    page = await events_page(front, 0, min_severity=Severity.DEBUG)
    return any(event.type == "supervisor:adopted" for event in page.events)


async def test_a_passive_watch_notes_what_it_sees_and_warns_of_nothing(quick: Home) -> None:
    async with silent(quick) as (front, task):
        await configure(front, {"level": "passive"}, task=task, reset=False, by_agent=False)
        await configure(front, {"stallThreshold": "2s"}, task=task, reset=False, by_agent=False)
        found = await wait_for(lambda: told(front, task, "task:stalled")) or []
        settings = {item.key: item for item in await settings_in_force(front, task)}
        assert settings["monitoring.level"].value == "passive"
        assert settings["monitoring.level"].origin == "ConfigureMonitoring for this task"
        if found[-1].severity is Severity.INFO:  # it may have been silent for long before we said so
            assert await alerts_about(front, task.id) == []


async def test_what_is_set_for_one_task_holds_for_it_alone_and_goes_with_it(quick: Home) -> None:
    async with silent(quick) as (front, task):
        await configure(front, {"stallThreshold": "1h"}, task=task, reset=False, by_agent=True)
        values = {item.key: item for item in await settings_in_force(front, task)}
        assert values["monitoring.stallThreshold"].value == 3_600_000
        everyone = {item.key: item for item in await settings_in_force(front)}
        assert everyone["monitoring.stallThreshold"].value == 1000
        await configure(front, {}, task=task, reset=True, by_agent=True)
        values = {item.key: item for item in await settings_in_force(front, task)}
        assert values["monitoring.stallThreshold"].value == 1000
        for changes, problem in (
            ({"stallThreshold": "soon"}, "stallThreshold: "),
            ({"stallThreshold": 30}, "stallThreshold: 30 means 30 milliseconds"),
            ({"maxMemoryPerTask": "8GB"}, "maxMemoryPerTask, 8 GB, is more than criticalMemory"),
        ):
            with pytest.raises(InvalidInput, match=problem):
                await configure(front, changes, task=task, reset=False, by_agent=True)
    async with quick.front() as front:
        over = await front.task(task.id)
        with pytest.raises(NotNow, match="has ended"):
            await configure(front, {"stallThreshold": "1h"}, task=over, reset=False, by_agent=True)


async def test_an_agent_may_be_stricter_with_all_tasks_and_not_less_strict_than_the_user(quick: Home) -> None:
    async with quick.front(keep=True) as front:
        await configure(front, {"criticalMemory": "3GB"}, task=None, reset=False, by_agent=True)
        await configure(front, {"criticalMemory": "4GB"}, task=None, reset=False, by_agent=True)
        with pytest.raises(NotNow, match=r"criticalMemory: .*only the user may loosen it"):
            await configure(front, {"criticalMemory": "5GB"}, task=None, reset=False, by_agent=True)
        await configure(front, {"criticalMemory": "5GB"}, task=None, reset=False, by_agent=False)


async def test_a_project_says_how_long_its_own_tasks_may_be_silent(quick: Home) -> None:
    (quick.work / ".claudine.json").write_text('{"monitoring": {"stallThreshold": "1h"}}')
    async with silent(quick) as (front, task):
        values = {item.key: item for item in await settings_in_force(front, task)}
        assert values["monitoring.stallThreshold"].value == 3_600_000
        assert "the project" in values["monitoring.stallThreshold"].origin


async def test_output_is_told_of_as_a_sign_of_life_without_what_it_says(quick: Home) -> None:
    async with silent(quick) as (front, task):
        (quick.work / "speak").touch()
        (active,) = await wait_for(raised(front, task, "task:active")) or []
        assert active.data == {"taskId": task.id, "stream": "stdout", "data": {"bytes": 5}}


async def test_a_timeout_that_is_raised_clears_its_warning(quick: Home) -> None:
    async with silent(quick, timeout="1s") as (front, task):
        await wait_for(raised(front, task, "task:overdue"))
        await update_task(front, task.id, timeout="1h")
        (recovered,) = await wait_for(raised(front, task, "task:recovered")) or []
        assert recovered.data["of"] == "task:overdue"


async def test_what_was_wrong_with_all_runs_together_is_over_when_the_last_has_ended(quick: Home) -> None:
    quick.configure(monitoring={"sampleInterval": "100ms"}, limits={"softMaxConcurrent": 1})

    async def told_of_all(kind: str) -> list[Event]:
        page = await events_page(front, 0, min_severity=Severity.DEBUG)
        return [event for event in page.events if event.task_id is None and event.type == kind]

    async with quick.front(keep=True) as front:
        tasks = [
            await front.submit_command(CommandRequest(PRINTS_WHEN_TOLD, name=name, priority="P0"))
            for name in ("one", "other")
        ]
        (crowded,) = await wait_for(lambda: told_of_all("limit:concurrency"))
        (quick.work / "release").touch()
        for task in tasks:
            await ended(front, task)
        (recovered,) = await wait_for(lambda: told_of_all("system:recovered"))
        assert recovered.data["of"] == "limit:concurrency"
        assert recovered.data["alertId"] == crowded.seq
        assert (await alerts_of(front)).alerts == []
