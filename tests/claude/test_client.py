"""Claude Code as the client of this project's server."""

from __future__ import annotations

import json

import pytest
from claude_code import ClaudeCode, claudine_server
from claude_terminal import Terminal
from fake_api import FakeApi
from support import Home, ended

from claudine_mcp.front.delegate import DelegateRequest, delegate
from claudine_mcp.front.details import task_view

pytestmark = pytest.mark.claude

SCRIPT = (
    'FAKE: tool mcp__claudine__RunCommand {"command": "echo from a task"}'
    ' | tool mcp__claudine__WaitForEvents {"taskIds": ["<<taskId>>"], "until": "allEnded", "timeout": "30s"}'
    ' | tool mcp__claudine__TaskLogs {"taskId": "<<taskId>>"} | tool mcp__claudine__TaskLogs {"taskId": "none"}'
    " | text the end of it"
)


def test_what_a_tool_gives_reaches_the_model(claude_home: Home, claude: ClaudeCode) -> None:
    options = ("--mcp-config", claudine_server(claude_home), "--allowedTools", "mcp__claudine")
    run = claude.run(SCRIPT, *options)

    assert [server["status"] for server in run.lines("system", "init")[0]["mcp_servers"]] == ["connected"]
    answers = [line["message"]["content"][0] for line in run.lines("user")]
    submitted, waited, logs = [json.loads(answer["content"]) for answer in answers[:3]]
    assert [(task["taskId"], task["outcome"]) for task in waited["tasks"]] == [
        (submitted["taskId"], "succeeded")
    ]
    assert logs["lines"] == [{"stream": "stdout", "text": "from a task"}]
    assert answers[3]["is_error"]
    assert "none" in answers[3]["content"]


def test_a_user_at_a_terminal_has_the_tools(claude_home: Home, claude: ClaudeCode, api: FakeApi) -> None:
    script = (
        'FAKE: tool mcp__claudine__RunCommand {"command": "echo from a task", "wait": true} | text waiting'
        ' | tool mcp__claudine__TaskLogs {"taskId": "<<taskId>>"} | text the end of it'
    )
    options = ("--mcp-config", claudine_server(claude_home), "--allowedTools", "mcp__claudine")
    with Terminal(claude, *options, prompt=script) as terminal:
        terminal.wait_for("● the end of it")
        assert terminal.leave() == 0

    told = api.requests[-1].text.replace("\\", "")
    assert '"outcome":"succeeded"' in told
    assert '"text":"from a task"' in told


async def test_a_delegated_run_that_was_given_our_server_delegates_no_further(
    claude_home: Home, claude: ClaudeCode, api: FakeApi
) -> None:
    claude_home.configure(claude={"command": claude.argv[0], "allowedMcpServers": ["claudine"]})
    servers = json.loads(claudine_server(claude_home))["mcpServers"]
    inner = 'FAKE: tool mcp__claudine__DelegateTask {"prompt": "FAKE: text deeper"} | text refused'
    async with claude_home.front() as front:
        request = DelegateRequest(inner, mcp_config=servers, allowed_tools=["mcp__claudine"])
        task = await delegate(front, request)
        done = await ended(front, task, timeout_s=90)
        assert (await task_view(front, done.id)).result == "refused"
    assert api.told("claude.maxDepth")
    assert claude_home.query("SELECT count(*) FROM tasks") == [(1,)]
