"""Warnings as forms: what to do is asked where a form can be shown, and no answer is no answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from alerting import alerts_about
from forms import User, connected, handshaken
from mcp_tasks import Handle, TaskClient
from support import Home, ended, in_state, wait_for

from claudine_mcp.core.models import Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest

CONTINUE = {"action": "accept", "content": {"action": "continue"}}
CANCEL_IT = {"action": "accept", "content": {"action": "cancel"}}
ACTIONS = ["snooze", "continue", "suspend", "cancel"]


@asynccontextmanager
async def overdue(home: Home) -> AsyncGenerator[tuple[Front, Task]]:
    """Run a task that takes longer than its timeout, until the file ``release`` is there; it is at the end."""
    release = home.work / "release"
    async with home.front() as front:
        request = CommandRequest(
            "until test -e release; do sleep 0.02; done", name="the import", timeout="1s"
        )
        task = await front.submit_command(request)
        try:
            await in_state(front, task, State.RUNNING)
            yield front, task
        finally:
            release.touch()


async def wait_of(client: TaskClient, task: Task) -> Handle:
    return await client.begin("WaitForEvents", taskIds=[task.id], until="ended")


async def test_a_wait_asks_what_to_do_about_a_warning_and_does_it(home: Home) -> None:
    async with connected(home) as client, overdue(home) as (_, task):
        wait = await wait_of(client, task)
        key, form = await client.asked(wait)
        assert "the import" in form["message"]
        assert "longer than its timeout of 1 s" in form["message"]
        assert form["requestedSchema"]["properties"]["action"]["enum"] == ACTIONS
        await client.update(wait, {key: CANCEL_IT})
        (shown,) = (await client.result(wait))["tasks"]
        assert shown["outcome"] == "cancelled"


async def test_who_lets_it_go_on_is_not_asked_again(home: Home) -> None:
    async with connected(home) as client, overdue(home) as (front, task):
        wait = await wait_of(client, task)
        key, _ = await client.asked(wait)
        await client.update(wait, {key: CONTINUE})
        assert (await client.get(wait))["status"] == "working"
        assert await alerts_about(front, task.id) == []
        (home.work / "release").touch()
        assert (await client.result(wait))["tasks"][0]["outcome"] == "succeeded"


async def test_who_snoozes_is_asked_again_when_the_time_is_over(home: Home) -> None:
    async with connected(home) as client, overdue(home) as (_, task):
        wait = await wait_of(client, task)
        key, first = await client.asked(wait)
        snooze = {"action": "accept", "content": {"action": "snooze", "snooze": "1s"}}
        await client.update(wait, {key: snooze})
        again, form = await client.asked(wait)
        assert again != key
        assert form == first
        await client.update(wait, {again: CONTINUE})
        (home.work / "release").touch()
        assert (await client.result(wait))["tasks"][0]["outcome"] == "succeeded"


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_no_answer_is_no_answer(home: Home, action: str) -> None:
    async with connected(home) as client, overdue(home) as (front, task):
        wait = await wait_of(client, task)
        key, _ = await client.asked(wait)
        await client.update(wait, {key: {"action": action}})
        status = await client.get(wait)
        assert status["status"] == "working"
        assert "longer than its timeout" in status["statusMessage"]
        assert len(await alerts_about(front, task.id)) == 1


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"action": "explode"},
        {"action": "continue", "snooze": "1h"},
        {"action": "snooze", "snooze": "a while"},
    ],
    ids=str,
)
async def test_what_is_no_answer_changes_nothing_and_is_asked_again(
    home: Home, content: dict[str, Any]
) -> None:
    async with connected(home) as client, overdue(home) as (front, task):
        wait = await wait_of(client, task)
        key, _ = await client.asked(wait)
        await client.update(wait, {key: {"action": "accept", "content": content}})
        again, form = await client.asked(wait)
        assert again != key
        assert form["message"].startswith(
            "That was no answer: choose one of snooze, continue, suspend, cancel"
        )
        assert len(await alerts_about(front, task.id)) == 1


async def test_a_choice_that_comes_too_late_is_told(home: Home) -> None:
    async with connected(home) as client, overdue(home) as (front, task):
        wait = await wait_of(client, task)
        second = await client.begin("WaitForEvents", taskIds=[task.id], until="ended")
        key, _ = await client.asked(wait)
        (home.work / "release").touch()
        await ended(front, task)
        await client.update(wait, {key: CANCEL_IT})
        assert (await client.result(second))["tasks"][0]["outcome"] == "succeeded"
        assert (await front.task(task.id)).outcome is Outcome.SUCCEEDED


async def test_a_warning_is_shown_while_nothing_is_called_and_again_after_a_snooze(home: Home) -> None:
    user = User()
    async with handshaken(home, user), overdue(home) as (front, task):
        assert "longer than its timeout" in (await user.sees(1)).message
        await user.answers({"action": "accept", "content": {"action": "snooze", "snooze": "1s"}})
        await user.sees(2)
        await user.answers(CONTINUE)
        await wait_for(lambda: _quiet(front, task), what="it is answered")
        (home.work / "release").touch()
        await ended(front, task)
        assert len(user.shown) == 2


async def _quiet(front: Front, task: Task) -> bool:
    return await alerts_about(front, task.id) == []


async def test_a_form_is_withdrawn_when_its_warning_has_passed(home: Home) -> None:
    user = User()
    async with handshaken(home, user), overdue(home):
        await user.sees(1)
        (home.work / "release").touch()
        await wait_for(lambda: user.withdrawn == 1, what="the form is withdrawn")
