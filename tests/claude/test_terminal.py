"""Claude Code as people use it, with a small MCP server."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from claude_code import ClaudeCode, tiny_server
from claude_terminal import Terminal
from fake_api import FakeApi
from support import alive, wait_until

pytestmark = pytest.mark.claude

MANUAL = ("--permission-mode", "default")
"""The default of a terminal is the mode in which a model decides on permissions."""


def test_a_session_calls_a_tool_asks_the_user_and_ends(claude: ClaudeCode, api: FakeApi) -> None:
    record = claude.folder / "calls"
    script = 'FAKE: tool mcp__tiny__echo {"text": "hello"} | bash touch made | text the end of it'
    server = ("--mcp-config", tiny_server(record), "--allowedTools", "mcp__tiny__echo")

    with Terminal(claude, *MANUAL, *server, prompt=script) as terminal:
        terminal.wait_for("Do you want to proceed?")
        assert not (claude.work / "made").exists()
        terminal.confirm("Do you want to proceed?")
        terminal.wait_for("● the end of it")
        assert (claude.work / "made").exists()
        terminal.say("FAKE: text the second turn")
        terminal.wait_for("● the second turn")
        assert terminal.leave() == 0

    (called,) = [json.loads(line) for line in record.read_text().splitlines()]
    assert (called["name"], called["arguments"]) == ("echo", {"text": "hello"})
    assert api.told("echo: hello")


def test_a_session_has_the_id_that_was_chosen_and_is_resumed_by_it(claude: ClaudeCode, api: FakeApi) -> None:
    session = str(uuid4())

    with Terminal(claude, "--session-id", session, prompt="FAKE: text first") as terminal:
        terminal.wait_for("● first")
        assert terminal.leave() == 0
    assert len(api.of_session(session)) == 1

    run = claude.run("FAKE: text second", "--resume", session)
    assert run.result["session_id"] == session
    assert "FAKE: text first" in api.requests[-1].text


def test_a_closed_terminal_ends_the_session_and_its_servers(claude: ClaudeCode, api: FakeApi) -> None:
    with Terminal(
        claude, "--mcp-config", tiny_server(claude.folder / "calls"), prompt="FAKE: hang"
    ) as terminal:
        wait_until(lambda: api.requests, what="a request")
        pid = terminal.pid
        assert alive(pid)
    assert not alive(pid)


def test_who_is_not_known_is_asked_whether_the_folder_is_trusted(claude: ClaudeCode, api: FakeApi) -> None:
    with Terminal(claude, *MANUAL) as terminal:
        terminal.wait_for("manual mode")
    elsewhere = claude.folder / "elsewhere"
    elsewhere.mkdir()
    stranger = ClaudeCode(claude.argv, claude.env, elsewhere, elsewhere)
    with Terminal(stranger, known=False) as terminal:
        terminal.confirm("Yes, I trust this folder")
        # What Enter chooses is "No, exit".
        assert terminal.ended() == 1
    assert not api.requests
