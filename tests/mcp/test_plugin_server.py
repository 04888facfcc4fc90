"""The server as the plugin starts it: it writes lines for the monitor and answers hooks, and tells nothing twice."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import TextContent
from support import Home, ended, in_state, kill, wait_for

from claudine_mcp.core.models import Event, Severity
from claudine_mcp.core.pointers import POINTER_CHARS
from claudine_mcp.core.states import State
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.registry.events import add_event

GATE = "until test -e {}; do sleep 0.05; done"


@dataclass
class Plugged:
    """A client whose server is the plugin's; this process stands for Claude Code."""

    client: Client
    file: Path
    server_pid: int

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        return result.structured_content

    async def hook(self, tool: str, **arguments: str) -> str:
        """Give what a hook tells the model, "" if nothing."""
        result = await self.client.call_tool(tool, arguments)
        (content,) = result.content
        assert isinstance(content, TextContent)
        assert not result.is_error, content.text
        assert result.structured_content is None
        answer = json.loads(content.text)
        assert not answer or answer["hookSpecificOutput"]["hookEventName"] == arguments.get("event", "Stop")
        return answer["hookSpecificOutput"]["additionalContext"] if answer else ""

    async def told(self, event: str = "PostToolBatch", agent: str = "") -> str:
        return await self.hook("TellSession", event=event, agentId=agent)

    async def run(self, command: str, **arguments: Any) -> str:
        return (await self.call("RunCommand", command=command, **arguments))["taskId"]

    @property
    def cursor(self) -> Path:
        return self.file.with_name(f"{self.file.name}.cursor")

    def noted(self, seq: int) -> bool:
        """Whether the server has written down that all up to there was told."""
        return json.loads(self.cursor.read_bytes())["cursor"] >= seq

    def lines(self) -> list[str]:
        return self.file.read_text(encoding="utf-8").splitlines()[1:]

    async def line(self, words: str) -> str:
        """Wait for a line with these words."""
        found = await wait_for(lambda: [line for line in self.lines() if words in line], what=words)
        return found[0]


@asynccontextmanager
async def plugged(home: Home, *, monitor: bool = True, **env: str) -> AsyncGenerator[Plugged]:
    """Connect a server of the session "s", with a monitor that reads its file, or without."""
    directory = home.folder / "monitors"
    directory.mkdir(exist_ok=True)
    file = directory / f"{os.getpid()}@{os.uname().nodename}"
    if monitor and not file.exists():
        file.write_text(f"{os.getpid()}\n")
    ours = {"CLAUDINE_MONITOR_DIR": str(directory), "CLAUDE_CODE_SESSION_ID": "s"}
    server = StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "claudine_mcp"],
        env={**home.env, **ours, **env},
        cwd=home.work,
    )
    before = children()
    async with Client(server) as client:
        (server_pid,) = children() - before
        yield Plugged(client, file, server_pid)


def last_end(home: Home) -> int:
    return home.query("SELECT max(seq) FROM events WHERE type = 'task:ended'")[0][0]


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


async def test_each_end_is_one_line_and_no_hook_says_it_again(home: Home) -> None:
    async with plugged(home) as session:
        bad = await session.run("sleep 0.5; exit 3", name="bad")
        (alert,) = await wait_for(lambda: home.query("SELECT seq FROM alerts"))
        assert (
            await session.line("bad (")
            == f"bad ({bad}) failed: exit code 3 [alert {alert[0]}: TaskStatus {bad}]"
        )
        good = await session.run("sleep 0.5", name="good")
        await session.line(f"good ({good}) succeeded")
        assert await session.told() == await session.told("UserPromptSubmit") == ""
        assert len(session.lines()) == 2
        assert home.query("SELECT times FROM handed WHERE session = 's'")[0][0] >= 1


async def test_what_a_hook_has_told_is_no_line(home: Home) -> None:
    async with plugged(home, monitor=False) as session:
        task_ids = [await session.run(f"sleep 0.5; exit {code}") for code in (0, 3)]
        async with home.front() as front:
            for task_id in task_ids:
                await ended(front, task_id)
        assert await session.told(agent="a1b2") == ""
        notice = await session.told()
        assert "not the user's words" in notice
        assert all(f"TaskStatus {task_id}" in notice for task_id in task_ids)
        assert await session.told() == ""
        session.file.write_text(f"{os.getpid()}\n")
        await session.run("exit 4", name="marker")
        await session.line("marker (")
        assert len(session.lines()) == 1


async def test_ends_that_a_call_tells_are_no_lines(home: Home) -> None:
    async with plugged(home) as session:
        await session.run("exit 3", wait=True)
        first = await session.run("sleep 0.5")
        second = await session.run("exit 4", dependsOn=[{"taskId": first}])
        await session.call("WaitForEvents", taskIds=[first, second], until="allEnded")
        third = await session.run("sleep 300")
        await session.call("CancelTask", taskId=third)
        assert await session.told() == ""
        await session.run("sleep 0.5", name="marker")
        await session.line("marker (")
        assert len(session.lines()) == 1


async def test_a_warning_that_an_open_wait_tells_is_no_line(home: Home) -> None:
    async with plugged(home) as session:
        slow = await session.run("sleep 300", name="slow")
        words = f"slow ({slow}) is silent"
        is_open = anyio.Event()
        answers: list[Any] = []

        async def goes_on(*_: Any, **__: Any) -> None:
            is_open.set()

        async def wait() -> None:
            wanted = {"types": ["task:stalled"]}
            answers.append(await session.client.call_tool("WaitForEvents", wanted, progress_callback=goes_on))

        async with home.front() as front, anyio.create_task_group() as group:
            group.start_soon(wait)
            await is_open.wait()
            await in_state(front, slow, State.RUNNING)
            async with front.db.write() as tx:
                await add_event(tx, Event("task:stalled", Severity.WARNING, words, time.time(), slow))
        assert [event["message"] for event in answers[0].structured_content["events"]] == [words]
        await session.run("true", name="marker")
        await session.line("marker (")
        assert len(session.lines()) == 1


async def test_a_wait_that_is_given_up_tells_nothing(home: Home) -> None:
    async with plugged(home) as session:
        task_id = await session.run(GATE.format("go"), name="waited for")
        with anyio.move_on_after(1.0):
            await session.call("WaitForEvents", taskIds=[task_id], until="ended")
        (home.work / "go").touch()
        await session.line("waited for (")


async def test_many_ends_at_once_are_few_lines_that_count_them(home: Home) -> None:
    home.configure(limits={"softMaxConcurrent": 20})
    async with plugged(home) as session:
        for n in range(20):
            await session.run(
                GATE.format("go") + f"; exit {n % 2}", name=f"task number {n}, with a long name"
            )
        (home.work / "go").touch()

        def all_told() -> bool:
            ends = home.query("SELECT count(*) FROM events WHERE type = 'task:ended'")[0][0]
            return ends == 20 and session.noted(last_end(home))

        await wait_for(all_told)
        lines = session.lines()
        assert len(lines) < 20
        assert all(len(line) <= POINTER_CHARS for line in lines)
        assert "tasks have ended (" in " ".join(lines)


async def test_a_session_is_not_told_of_another_ones_tasks(home: Home) -> None:
    async with plugged(home) as session, home.front("the command line") as front:
        front.origin["project"] = "/elsewhere"
        await ended(front, await front.submit_command(CommandRequest("exit 3", name="theirs")))
        await session.run("exit 3", name="marker")
        await session.line("marker (")
        assert [line for line in session.lines() if "theirs" in line] == []


async def failed_unheard(home: Home, name: str) -> None:
    """Have a task fail after its session has gone."""
    async with plugged(home, CLAUDE_CODE_SESSION_ID="gone") as session:
        await session.run(f"until test -e {name}; do sleep 0.05; done; exit 3", name=name)
    (home.work / name).touch()
    await wait_for(
        lambda: home.query("SELECT 1 FROM alerts JOIN tasks ON tasks.id = task_id WHERE name = ?", name)
    )
    session.cursor.unlink(missing_ok=True)  # the next stands for another Claude Code


async def test_old_alerts_wake_nobody_and_come_with_the_next_prompt(home: Home) -> None:
    await failed_unheard(home, "old")
    async with plugged(home, CLAUDE_CODE_SESSION_ID="new") as session:
        await session.run("sleep 0.5; exit 3", name="marker")
        await session.line("marker (")
        assert [line for line in session.lines() if "old (" in line] == []
    await failed_unheard(home, "older")
    async with plugged(home, CLAUDE_CODE_SESSION_ID="newer", monitor=False) as session:
        assert "older (" in await session.told("UserPromptSubmit")
        assert await session.told("UserPromptSubmit") == ""


async def test_a_snooze_that_is_over_wakes_the_session_again(
    home: Home,
) -> None:
    async with plugged(home) as session:
        await session.run("exit 3", name="bad")
        await session.line("bad (")
        (alert,) = home.query("SELECT seq FROM alerts")[0]
        await session.call("AnswerAlert", alertId=alert, action="snooze", snooze="1s")
        await wait_for(lambda: len(session.lines()) == 2, timeout_s=60)
        assert session.lines()[0] == session.lines()[1]


async def test_a_snooze_that_was_over_before_a_session_began_wakes_nobody(home: Home) -> None:
    async with plugged(home, CLAUDE_CODE_SESSION_ID="gone", monitor=False) as session:
        await session.run("exit 3", name="old", wait=True)
        (alert,) = home.query("SELECT seq FROM alerts")[0]
        await session.call("AnswerAlert", alertId=alert, action="snooze", snooze="1s")
        await wait_for(lambda: home.query("SELECT 1 FROM alerts WHERE snoozed_until < ?", time.time()))
    async with plugged(home, CLAUDE_CODE_SESSION_ID="new") as session:
        await session.run("sleep 0.5", name="marker")
        await session.line("marker (")
        assert [line for line in session.lines() if "old (" in line] == []


async def test_a_server_that_was_killed_leaves_nothing_untold_to_the_next(home: Home) -> None:
    async with plugged(home) as session:
        await session.run(GATE.format("go"), name="meanwhile")
        await session.run("true", name="before")
        await session.line("before (")
        await wait_for(lambda: session.noted(last_end(home)), what="the server has noted that it was told")
        kill(session.server_pid)
    (home.work / "go").touch()
    async with home.front() as front:
        (task_id,) = home.query("SELECT id FROM tasks WHERE name = 'meanwhile'")[0]
        await ended(front, task_id)
    async with plugged(home) as session:
        await session.line("meanwhile (")
        await session.run("true", name="marker")
        await session.line("marker (")
        assert [line.split(" ")[0] for line in session.lines()] == ["before", "meanwhile", "marker"]


@pytest.mark.parametrize("entrypoint", ["cli", "sdk-cli"])
async def test_only_a_plain_run_is_held_at_its_end(home: Home, entrypoint: str) -> None:
    async with plugged(home, monitor=False, CLAUDE_CODE_ENTRYPOINT=entrypoint) as session:
        await session.run(GATE.format("go"), name="slow")
        answers: list[str] = []

        async def stop() -> None:
            answers.append(await session.hook("HoldSession", goesOn="false"))

        async with anyio.create_task_group() as group:
            group.start_soon(stop)
            if entrypoint == "cli":
                await wait_for(lambda: answers)
            (home.work / "go").touch()
    assert ("slow (" in answers[0]) == (entrypoint == "sdk-cli")


async def test_a_plain_run_is_not_held_where_that_is_switched_off(home: Home) -> None:
    home.configure(notifications={"stopWait": 0})
    async with plugged(home, monitor=False, CLAUDE_CODE_ENTRYPOINT="sdk-cli") as session:
        await session.run("sleep 300")
        assert await session.hook("HoldSession", goesOn="false") == ""
