"""What a delegation may not have, or cannot do, is said before the task is accepted, and nothing is stored."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace
from typing import Any

import pytest
from delegating import claude_command, handed_over, program_that, run, set_up
from support import Home

from claudine_mcp.core.errors import InvalidInput, NotNow
from claudine_mcp.core.states import Outcome
from claudine_mcp.front.delegate import DelegateRequest, delegate
from claudine_mcp.front.front import Front
from claudine_mcp.front.program import MIN_VERSION
from claudine_mcp.front.submit import CommandRequest

pytestmark = pytest.mark.claude

OLD_HELP = """\
Usage: claude [options] [command] [prompt]
  -p, --print  --output-format <format>  --input-format <format>  --verbose  --session-id <uuid>  -r, --resume [id]
  --model <model>  --allowedTools, --allowed-tools <tools...>  --mcp-config <configs...>
"""
"""As of a version that has neither --strict-mcp-config nor --replay-user-messages."""


async def refused(home: Home, front: Front, **request: Any) -> InvalidInput:
    """Delegate what is wrong; give the error. Nothing may be left of it."""
    with pytest.raises(InvalidInput) as caught:
        await delegate(front, DelegateRequest(**{"prompt": "FAKE: text hello", **request}))
    assert home.query("SELECT count(*) FROM tasks") == [(0,)]
    tasks = home.state_dir / "tasks"
    assert not (tasks.exists() and list(tasks.iterdir()))
    assert len(str(caught.value)) < 600
    return caught.value


REQUESTS: list[tuple[dict[str, Any], str, str]] = [
    ({"prompt": ""}, "prompt", "empty"),
    ({"prompt": " \n\t"}, "prompt", "empty"),
    ({"prompt": "\ud800"}, "prompt", r"character 1 (\ud800)"),
    ({"prompt": "fine, but " + "x" * 10_000_000 + "y" * 1_000_000}, "prompt", "longer than"),
    ({"cwd": "/no/such/place"}, "cwd", "does not exist"),
    ({"cwd": "/dev/null"}, "cwd", "is not a directory"),
    ({"permission_mode": "bypassPermissions"}, "permissionMode", "claude.allowBypassPermissions"),
    ({"permission_mode": "sudo"}, "permissionMode", "acceptEdits"),
    ({"extra_args": ["--dangerously-skip-permissions"]}, "extraArgs", "claude.allowedExtraArgs"),
    ({"extra_args": ["--settings", "x"]}, "extraArgs", "claude.allowedExtraArgs"),
    ({"extra_args": ["--session-id", "x"]}, "extraArgs", "set by claudine-mcp"),
    ({"extra_args": ["--add-dir", "a\0b"]}, "extraArgs", "NUL"),
    ({"extra_args": ["--add-dir", *["x" * 100_000] * 11]}, "extraArgs", "1,048,576 in all"),
    ({"mcp_config": {"mcpServers": {"mine": {"command": "x"}}}}, "mcpConfig", "claude.allowedMcpServers"),
    ({"max_turns": 0}, "maxTurns", "1 or more"),
    ({"max_budget_usd": -1}, "maxBudgetUsd", "dollars"),
    ({"max_budget_usd": float("nan")}, "maxBudgetUsd", "dollars"),
    ({"allowed_tools": ["--x"]}, "allowedTools", "Bash(git log:*)"),
    ({"disallowed_tools": ["x" * 100_000] * 2}, "disallowedTools", "131,071 in one argument"),
    ({"append_system_prompt": "x" * 131_072}, "appendSystemPrompt", "131,071 in one argument"),
    ({"append_system_prompt": "a\0b"}, "appendSystemPrompt", "NUL"),
    ({"model": "\udcff"}, "model", "UTF-8"),
    ({"timeout": 30}, "timeout", "30"),
]


async def test_a_request_that_is_wrong_names_its_field_and_stores_nothing(claude_home: Home) -> None:
    # In one test, because what is tested takes less time than a state directory.
    async with claude_home.front() as front:
        for request, field, words in REQUESTS:
            error = await refused(claude_home, front, **request)
            assert (error.field, words in str(error)) == (field, True), (field, str(error))


async def test_a_program_that_will_not_do_is_named_with_what_is_wrong_with_it(claude_home: Home) -> None:
    oldest = ".".join(map(str, MIN_VERSION))
    programs = {
        "no-such-claude": "there is no 'no-such-claude' on the PATH of this client",
        "/no/such/claude": "there is no '/no/such/claude'",
        str(claude_home.work): "there is no",
        program_that(claude_home, "ancient", "echo '1.0.17 (Claude Code)'"): f"Version {oldest} or later",
        program_that(claude_home, "other", "echo GNU bash, version 5.2"): 'says "GNU bash, version 5.2"',
        program_that(claude_home, "silent", "exit 0"): 'says ""',
        program_that(
            claude_home, "broken", "echo 'node: not found' >&2; exit 127"
        ): "exit code 127: node: not",
        program_that(claude_home, "killed", "kill -9 $$"): "exit code -9",
        program_that(
            claude_home,
            "older",
            f"case $1 in --version) echo '2.1.3 (Claude Code)';; *) cat <<'EOF'\n{OLD_HELP}EOF\nesac",
        ): "is version 2.1.3, which has no --replay-user-messages, --strict-mcp-config",
    }
    async with claude_home.front() as front:
        for command, words in programs.items():
            set_up(claude_home, command=command)
            error = await refused(claude_home, front)
            assert (error.field, words in str(error)) == ("claude.command", True), (words, str(error))


async def test_an_older_version_will_do_if_it_has_the_flags_that_the_run_needs(claude_home: Home) -> None:
    real = claude_command(claude_home)
    older = program_that(
        claude_home, "older", f"case $1 in --version) echo 2.1.3;; *) exec '{real}' \"$@\";; esac"
    )
    set_up(claude_home, command=older)
    async with claude_home.front() as front:
        task, _ = await run(front, "text hello", max_turns=3, ask_permission=True)
        assert task.outcome is Outcome.SUCCEEDED, task.reason


async def test_the_program_is_looked_for_on_the_path_of_the_client(claude_home: Home) -> None:
    folder = claude_home.folder / "bin of the client"
    folder.mkdir()
    (folder / "claude").symlink_to(claude_command(claude_home))
    set_up(claude_home, command="claude")
    without = os.pathsep.join(
        path for path in claude_home.env["PATH"].split(os.pathsep) if not shutil.which("claude", path=path)
    )
    claude_home.env["PATH"] = without
    async with claude_home.front() as front:
        assert "on the PATH of this client" in str(await refused(claude_home, front))
    claude_home.env["PATH"] = f"{folder}{os.pathsep}{without}"
    async with claude_home.front() as front:
        task, _ = await run(front, "text hello")
        assert (task.outcome, task.spec["program"]) == (Outcome.SUCCEEDED, str(folder / "claude"))


@pytest.mark.parametrize("depth", ["two", "-1", "1.5", "٣", "9" * 5000, " 1"])
async def test_a_depth_that_is_no_number_is_named(claude_home: Home, depth: str) -> None:
    claude_home.env["CLAUDINE_DEPTH"] = depth
    async with claude_home.front() as front:
        error = await refused(claude_home, front)
        assert error.field == "CLAUDINE_DEPTH"
        assert "Unset it" in str(error)


async def test_a_delegated_run_delegates_no_further_than_it_may(claude_home: Home) -> None:
    claude_home.env["CLAUDINE_DEPTH"] = "1"
    async with claude_home.front() as front:
        with pytest.raises(NotNow, match=r"1 deep, and claude\.maxDepth is 1: do the work here"):
            await delegate(front, DelegateRequest("FAKE: text hello"))
    set_up(claude_home, maxDepth=2)
    async with claude_home.front() as front:
        task, _ = await run(
            front, "bash echo depth $CLAUDINE_DEPTH > depth | text done", allowed_tools=["Bash"]
        )
        assert task.outcome is Outcome.SUCCEEDED
        assert claude_home.lines("depth") == ["depth 2"]


async def test_what_the_users_own_file_allows_is_allowed(claude_home: Home) -> None:
    set_up(
        claude_home,
        allowBypassPermissions=True,
        allowedExtraArgs=["--settings"],
        allowedMcpServers=["mine"],
    )
    claude_home.env["IS_SANDBOX"] = "1"  # else Claude Code refuses to do that as root
    server = {"command": sys.executable, "args": ["-c", "pass"]}
    async with claude_home.front() as front:
        task, _ = await run(
            front,
            "bash touch made | text done",
            permission_mode="bypassPermissions",
            extra_args=["--settings", json.dumps({"env": {"FROM_SETTINGS": "1"}})],
            mcp_config={"mcpServers": {"mine": server}},
        )
        assert task.outcome is Outcome.SUCCEEDED, task.reason
        assert (claude_home.work / "made").exists()


# -- going on in a session ----------------------------------------------------------------------------------


async def test_a_session_that_another_configuration_folder_holds_is_not_gone_on_in(claude_home: Home) -> None:
    elsewhere = claude_home.folder / "elsewhere"
    elsewhere.mkdir()
    other = replace(claude_home, env={**claude_home.env, "CLAUDE_CONFIG_DIR": str(elsewhere)})
    async with claude_home.front() as front, other.front() as stranger:
        task, _ = await run(front, "text hello")
        with pytest.raises(
            InvalidInput, match=r"continueFrom: the session of task .* is in .*/projects"
        ) as error:
            await handed_over(stranger, "text more", continue_from=task.id)
        assert str(elsewhere) in str(error.value)
        assert claude_home.query("SELECT count(*) FROM tasks") == [(1,)]


async def test_a_task_that_never_had_a_session_is_not_gone_on_from(claude_home: Home) -> None:
    async with claude_home.front() as front:
        before = await handed_over(front, "text hello", not_before="2099-01-01T00:00:00Z")
        await front.cancel(before.id)
        with pytest.raises(
            InvalidInput, match=r"ended before its session had begun .* RetryTask runs it again"
        ):
            await handed_over(front, "text more", continue_from=before.id)
        command = (await front.submit_command(CommandRequest("true"))).id
        with pytest.raises(InvalidInput, match="is a command"):
            await handed_over(front, "text more", continue_from=command)
