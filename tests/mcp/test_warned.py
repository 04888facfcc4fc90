"""A wait for an end does not hide a warning: it is answered, unless the client's user is asked meanwhile."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest
from forms import connected
from mcp import Client
from support import Home, ended, events_of, in_state, wait_for

from claudine_mcp.core.models import Event, Severity
from claudine_mcp.core.states import State
from claudine_mcp.front.front import Front
from claudine_mcp.registry.events import add_event
from claudine_mcp.server.app import build_server

GATE = "until test -e open; do sleep 0.02; done"
SILENT = "it is silent"
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
SUGGESTED = ({"action": "continue", "label": "let it go on"},)


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def warn(front: Front, task_id: str, words: str = SILENT) -> None:
    await in_state(front, task_id, State.RUNNING)
    async with front.db.write() as tx:
        stall = Event("task:stalled", Severity.WARNING, words, time.time(), task_id, suggestions=SUGGESTED)
        await add_event(tx, stall)


@pytest.mark.parametrize("until", ["ended", "allEnded"])
async def test_a_call_that_waits_for_ends_is_answered_by_a_warning_and_goes_on_after_it(
    home: Home, until: str
) -> None:
    async with Client(build_server(home.env, str(home.work))) as client, home.front() as front:
        ids = [(await call(client, "RunCommand", command=GATE))["taskId"] for _ in range(2)]
        answers: list[dict[str, Any]] = []

        async def wait() -> None:
            answers.append(await call(client, "WaitForEvents", taskIds=ids, until=until))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await warn(front, ids[1])
        (told,) = answers
        assert told["why"].startswith(f"task {ids[1]} needs attention: {SILENT}; wait again with after=")
        assert [event["message"] for event in told["events"] if event["type"] == "task:stalled"] == [SILENT]
        (home.work / "open").touch()
        told = await call(client, "WaitForEvents", taskIds=ids, until=until, after=told["cursor"])
        assert "ended" in told["why"]


async def test_what_was_untold_when_the_wait_began_ends_it_and_what_was_told_does_not(home: Home) -> None:
    async with Client(build_server(home.env, str(home.work))) as client, home.front() as front:
        task_id = (await call(client, "RunCommand", command=GATE))["taskId"]
        await warn(front, task_id)
        told = await call(client, "WaitForEvents", taskIds=[task_id], until="ended")
        assert "needs attention" in told["why"]
        told = await call(client, "WaitForEvents", taskIds=[task_id], until="ended", timeout="200ms")
        assert "timeout" in told["why"]
        (home.work / "open").touch()


async def test_a_call_that_promised_the_end_says_why_it_is_answered_before(home: Home) -> None:
    async with Client(build_server(home.env, str(home.work))) as client, home.front() as front:
        answers: list[dict[str, Any]] = []

        async def run() -> None:
            answers.append(await call(client, "RunCommand", command=GATE, wait=True))

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await wait_for(lambda: home.query("SELECT id FROM tasks"))
            await warn(front, home.query("SELECT id FROM tasks")[0][0])
        task_id = home.query("SELECT id FROM tasks")[0][0]
        assert (answers[0]["taskId"], answers[0]["state"]) == (task_id, "running")
        assert SILENT in answers[0]["note"]
        assert f'taskIds=["{task_id}"], until="ended" (WaitForEvents)' in answers[0]["note"]
        (home.work / "open").touch()


@pytest.mark.parametrize("shows_forms", [True, False], ids=["asks its user", "shows no forms"])
async def test_an_mcp_task_asks_the_user_if_it_can_and_else_returns(home: Home, shows_forms: bool) -> None:
    async with connected(home, shows_forms=shows_forms) as client, home.front() as front:
        task_id = (await client.call("RunCommand", command=GATE))["taskId"]
        wait = await client.begin("WaitForEvents", taskIds=[task_id], until="ended")
        end = await client.begin("WaitForEvents", taskIds=[task_id], until="ended", after=10**6)
        await warn(front, task_id)
        if shows_forms:
            assert (await client.asked(wait))[1]["message"].startswith(SILENT)
        else:
            assert "needs attention" in (await client.result(wait))["why"]
            assert (await client.get(end))["status"] == "working"
        (home.work / "open").touch()
        assert "has ended" in (await client.result(end))["why"]


async def test_a_call_that_promised_the_end_goes_on_as_an_mcp_task(home: Home) -> None:
    async with connected(home, shows_forms=False) as client, home.front() as front:
        wait = await client.begin("RunCommand", command=GATE, wait=True)
        task_id = wait.task_id.partition("-")[0]
        await warn(front, task_id)
        assert (await client.get(wait))["status"] == "working"
        (home.work / "open").touch()
        assert (await client.result(wait))["task"]["outcome"] == "succeeded"


async def test_only_the_failure_of_another_is_no_warning(home: Home) -> None:
    async with Client(build_server(home.env, str(home.work))) as client, home.front() as front:
        bad = (await call(client, "RunCommand", command="exit 3"))["taskId"]
        slow = (await call(client, "RunCommand", command=GATE))["taskId"]
        await ended(front, bad)
        told = await call(client, "WaitForEvents", taskIds=[bad, slow], until="allEnded", timeout="200ms")
        assert "timeout" in told["why"]
        (home.work / "open").touch()
        assert len(await events_of(front, bad, "task:ended")) == 1
