"""Prompts: what a user says with one word."""

from __future__ import annotations

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent
from servers import Served, served
from support import Home, ended, wait_for

from claudine_mcp.front.submit import CommandRequest


async def words(call: Served, prompt: str, **arguments: str) -> str:
    (message,) = (await call.client.get_prompt(prompt, arguments)).messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    return message.content.text


async def test_triage_names_what_is_open_what_runs_and_what_waits(home: Home) -> None:
    home.configure(limits={"softMaxConcurrent": 1})
    async with served(home, home.env, "triage", home.work) as call:
        assert "No alert is open." in await words(call, "triage")
        async with home.front() as front:
            await ended(front, await front.submit_command(CommandRequest("exit 3", name="bad news")))
        await call("RunCommand", command="sleep 300", name="slow")
        await wait_for(lambda: home.query("SELECT 1 FROM tasks WHERE state = 'running'"))
        waiting = (await call("RunCommand", command="true", name="later"))["taskId"]

        async def said() -> str:
            text = await words(call, "triage")
            return text if f"later ({waiting}): 1 task is active" in text else ""

        text = await wait_for(said)
    assert "Ask me before" in text
    assert "bad news (" in text
    assert "failed: exit code 3 [alert " in text
    assert "Running: 1\n- slow (" in text
    assert "Waiting: 1\n- later (" in text


async def test_delegate_says_what_is_to_be_handed_over(home: Home) -> None:
    async with served(home, home.env, "delegate", home.work) as call:
        assert "move {it} to argon2" in await words(call, "delegate", task="move {it} to argon2")
        with pytest.raises(MCPError):
            await words(call, "delegate")


async def test_where_the_registry_cannot_be_read_triage_says_why(home: Home) -> None:
    home.state_dir.write_text("no directory")
    async with served(home, home.env, "broken", home.work) as call:
        with pytest.raises(MCPError, match="directory"):
            await words(call, "triage")
