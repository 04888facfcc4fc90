"""Delegated runs of the real Claude Code: what becomes of them is told truthfully, whatever happens to them."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi
from support import Home, alive, ended, events_of, wait_for

from claudine_mcp.core.errors import InvalidInput, NotNow
from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.states import Outcome
from claudine_mcp.front.delegate import DelegateRequest, delegate
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.tasklogs import task_logs
from claudine_mcp.front.views import QuestionView, TaskView

pytestmark = pytest.mark.claude

GATE = "until test -e open; do sleep 0.02; done"
"""A command that lasts until the test makes the file ``open``."""


async def run(front: Front, prompt: str, **options: Any) -> tuple[Task, TaskView]:
    task = await delegate(front, DelegateRequest(prompt, **options))
    return await ended(front, task, timeout_s=90), await task_view(front, task.id)


async def asked(front: Front, task: Task) -> QuestionView:
    async def question() -> QuestionView | None:
        return (await task_view(front, task.id)).question

    found = await wait_for(question, what="a question")
    assert found is not None
    return found


async def using(front: Front, home: Home, task: Task, tool: str = "Bash") -> None:
    async def is_using() -> bool:
        phase = (await task_view(front, task.id)).phase
        return phase is not None and any(tool in label for label in phase.tools or [])

    await wait_for(is_using, what=f"{tool} is running")


ENDS = [
    ("text hello", {}, Outcome.SUCCEEDED, "a result without error"),
    ("bash echo hi | text done", {"allowed_tools": ["Bash"]}, Outcome.SUCCEEDED, "a result without error"),
    ("bash touch x | text done", {}, Outcome.SUCCEEDED, "1 tool call was not permitted"),
    ("error 400", {}, Outcome.FAILED, "400"),
    ("error 429 retry-after 120", {}, Outcome.FAILED, "429"),
    ("error 429 retry-after 1 times 1 | text done", {}, Outcome.SUCCEEDED, "a result without error"),
    ("error 529", {}, Outcome.FAILED, "overloaded"),
    ("cut times 1 | text whole", {}, Outcome.SUCCEEDED, "a result without error"),
    (
        "bash echo 1 | bash echo 2 | bash echo 3 | text done",
        {"allowed_tools": ["Bash"], "max_turns": 2},
        Outcome.FAILED,
        "max",
    ),
    (
        "expensive | bash echo 1 | text done",
        {"allowed_tools": ["Bash"], "max_budget_usd": 0.5},
        Outcome.FAILED,
        "budget",
    ),
]


@pytest.mark.parametrize(
    ("script", "options", "outcome", "reason"), ENDS, ids=[item[0][:30] for item in ENDS]
)
async def test_a_run_ends_as_its_stream_and_its_exit_say(
    claude_home: Home, script: str, options: dict[str, Any], outcome: Outcome, reason: str
) -> None:
    async with claude_home.front() as front:
        task, view = await run(front, f"FAKE: {script}", **options)
        assert (task.outcome, view.session_id) == (outcome, task.session_id), task.reason
        assert reason in (task.reason or "")
        assert view.cost_usd is not None
        if "not permitted" in reason:
            assert view.permission_denials
            assert view.permission_denials[0]["tool"] == "Bash"


async def test_background_work_is_waited_for_and_its_second_result_counts(claude_home: Home) -> None:
    async with claude_home.front() as front:
        script = "FAKE: background sleep 1; echo later | text first | text second"
        task, view = await run(front, script, allowed_tools=["Bash"])
        assert (task.outcome, view.result) == (Outcome.SUCCEEDED, "second"), task.reason


async def test_a_permission_that_is_asked_for_and_given_is_used(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await delegate(
            front, DelegateRequest("FAKE: bash touch made | text done", ask_permission=True)
        )
        question = await asked(front, task)
        assert (question.tool, question.input["command"]) == ("Bash", "touch made")
        events = await events_of(front, task, "task:needs-permission")
        assert [event.seq for event in events] == [question.alert_id]
        await front.command(CommandKind.ANSWER, None, {"alertId": question.alert_id, "action": "allow"})
        done = await ended(front, task, timeout_s=90)
        assert done.outcome is Outcome.SUCCEEDED
        assert (claude_home.work / "made").exists()
        with pytest.raises(NotNow, match="no question that waits"):
            await front.command(CommandKind.ANSWER, None, {"alertId": question.alert_id, "action": "deny"})


async def test_a_permission_that_is_denied_is_not_used_and_the_reason_is_heard(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        task = await delegate(
            front, DelegateRequest("FAKE: bash touch made | text done", ask_permission=True)
        )
        question = await asked(front, task)
        answer = {"alertId": question.alert_id, "action": "deny", "message": "use the other folder"}
        await front.command(CommandKind.ANSWER, None, answer)
        done = await ended(front, task, timeout_s=90)
        assert done.outcome is Outcome.SUCCEEDED
        assert not (claude_home.work / "made").exists()
        assert api.told("use the other folder")


async def test_a_question_that_nobody_answers_is_denied_and_says_so(claude_home: Home, api: FakeApi) -> None:
    claude_home.configure(claude={"command": claude_command(claude_home), "askTimeout": 1500})
    async with claude_home.front() as front:
        task = await delegate(
            front, DelegateRequest("FAKE: bash touch made | text done", ask_permission=True)
        )
        done = await ended(front, task, timeout_s=90)
        assert done.outcome is Outcome.SUCCEEDED
        assert not (claude_home.work / "made").exists()
        assert api.told("nobody answered within")


async def test_a_question_outlives_the_supervisor_that_raised_it(claude_home: Home) -> None:
    async with claude_home.front(keep=True) as front:
        task = await delegate(
            front, DelegateRequest("FAKE: bash touch made | text done", ask_permission=True)
        )
        question = await asked(front, task)
        await claude_home.kill_supervisor()
        await front.command(CommandKind.ANSWER, None, {"alertId": question.alert_id, "action": "allow"})
        done = await ended(front, task, timeout_s=90)
        assert done.outcome is Outcome.SUCCEEDED
        assert (claude_home.work / "made").exists()
        assert len(await events_of(front, task, "task:needs-permission")) == 1


async def test_a_run_that_is_killed_in_the_middle_of_a_tool_goes_on_in_its_session(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        task = await delegate(
            front, DelegateRequest(f"FAKE: bash {GATE} | text done", allowed_tools=["Bash"])
        )
        await using(front, claude_home, task)
        os.kill(claude_home.main_pid(task), signal.SIGKILL)
        done = await ended(front, task, timeout_s=90)
        assert (done.outcome, done.signal) == (Outcome.FAILED, signal.SIGKILL)
        assert "SIGKILL" in (done.reason or "")
        await front.cancel(task.id)  # its tool was left running
        await front.command(CommandKind.RETRY, task.id, {})
        again = await ended(front, task, timeout_s=90)
        assert (again.outcome, again.run, again.session_id) == (Outcome.SUCCEEDED, 2, task.session_id)
        assert api.told("Go on with your task")


async def test_a_cancel_in_the_middle_of_a_tool_leaves_nothing_alive(claude_home: Home) -> None:
    async with claude_home.front() as front:
        script = f"FAKE: bash echo $$ > tool.pid; {GATE} | text done"
        task = await delegate(front, DelegateRequest(script, allowed_tools=["Bash"]))
        await using(front, claude_home, task)
        pid = int((await wait_for(lambda: claude_home.lines("tool.pid")))[0])
        main = claude_home.main_pid(task)
        done, result = await front.cancel(task.id)
        assert (done.outcome, result["changed"]) == (Outcome.CANCELLED, True)
        assert not alive(pid)
        assert not alive(main)


async def test_a_message_arrives_and_is_answered(claude_home: Home, api: FakeApi) -> None:
    async with claude_home.front() as front:
        task = await delegate(
            front, DelegateRequest(f"FAKE: bash {GATE} | text done", allowed_tools=["Bash"])
        )
        await using(front, claude_home, task)
        result = await front.command(
            CommandKind.SEND, task.id, {"message": "mind the gap", "interrupt": False}
        )
        assert result == {"delivered": True, "queued": True}
        (claude_home.work / "open").touch()
        done = await ended(front, task, timeout_s=90)
        assert done.outcome is Outcome.SUCCEEDED
        assert len(api.told("mind the gap")) >= 1
        with pytest.raises(NotNow, match="RetryTask goes on"):
            await front.command(CommandKind.SEND, task.id, {"message": "too late", "interrupt": False})


async def test_an_interrupt_stops_the_turn_and_is_read(claude_home: Home, api: FakeApi) -> None:
    async with claude_home.front() as front:
        task = await delegate(
            front, DelegateRequest(f"FAKE: bash {GATE} | text done", allowed_tools=["Bash"])
        )
        await using(front, claude_home, task)
        said = {"message": "FAKE: text stopped", "interrupt": True}
        assert (await front.command(CommandKind.SEND, task.id, said))["delivered"]
        done = await ended(front, task, timeout_s=90)
        assert done.outcome is Outcome.SUCCEEDED, done.reason
        assert (await task_view(front, task.id)).result == "stopped"


async def test_the_same_session_goes_on_in_another_task_one_at_a_time(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        first = await delegate(
            front, DelegateRequest(f"FAKE: bash {GATE} | text done", allowed_tools=["Bash"])
        )
        await using(front, claude_home, first)
        second = await delegate(front, DelegateRequest("FAKE: text more", continue_from=first.id))
        await wait_for(
            lambda: claude_home.query("SELECT hold FROM tasks WHERE id = ?", second.id) != [(None,)]
        )
        view = await task_view(front, second.id)
        assert view.queue is not None
        assert "same Claude Code session" in view.queue.reason
        (claude_home.work / "open").touch()
        done = await ended(front, second, timeout_s=90)
        assert (done.outcome, done.session_id) == (Outcome.SUCCEEDED, first.session_id), done.reason
        before, after = (await task_view(front, first.id)), (await task_view(front, second.id))
        assert after.result == "more"
        assert (after.total_cost_usd or 0) > (before.total_cost_usd or 0)


async def test_a_fresh_retry_begins_a_new_session(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task, _ = await run(front, "FAKE: text hello")
        await front.command(CommandKind.RETRY, task.id, {"mode": "fresh"})
        again = await ended(front, task, timeout_s=90)
        assert again.outcome is Outcome.SUCCEEDED, again.reason
        assert again.session_id != task.session_id


async def test_the_supervisor_is_killed_in_the_middle_of_a_turn(claude_home: Home) -> None:
    async with claude_home.front(keep=True) as front:
        task = await delegate(
            front, DelegateRequest(f"FAKE: bash {GATE} | text done", allowed_tools=["Bash"])
        )
        await using(front, claude_home, task)
        await claude_home.kill_supervisor()
        (claude_home.work / "open").touch()
        done = await ended(front, task, timeout_s=90)
        view = await task_view(front, task.id)
        assert (done.outcome, done.run, view.result, view.turns) == (Outcome.SUCCEEDED, 1, "done", 2)


async def test_its_output_reads_like_a_conversation(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task, _ = await run(front, "FAKE: bash echo hi | text all done", allowed_tools=["Bash"])
        lines = [line.text for line in (await task_logs(front, task.id)).lines]
        assert any("Bash(echo hi)" in line for line in lines)
        assert any("all done" in line for line in lines)
        raw = await task_logs(front, task.id, raw=True)
        assert raw.lines[0].text.startswith("{")
        first = await task_logs(front, task.id, tail=2)
        rest = await task_logs(front, task.id, cursor=first.next_cursor)
        assert rest.lines == []


async def test_a_prompt_of_a_megabyte_with_every_kind_of_character_arrives(
    claude_home: Home, api: FakeApi
) -> None:
    odd = "".join(map(chr, (*range(1, 0x250), 0x4E2D, 0x1F600, 0xE000)))
    prompt = "FAKE: text done\n" + odd + "x" * 1_000_000 + " the very end"
    async with claude_home.front() as front:
        task, _ = await run(front, prompt)
        assert task.outcome is Outcome.SUCCEEDED, task.reason
        assert api.told("the very end")


async def test_each_run_has_the_environment_of_its_client_and_no_key_is_found_elsewhere(
    claude_home: Home, api: FakeApi
) -> None:
    keys = {name: f"sk-test-key-of-client-{name}-0123456789" for name in ("one", "two", "three")}
    homes = {
        name: replace(claude_home, env=claude_home.env | {"ANTHROPIC_API_KEY": key, "WHO": name})
        for name, key in keys.items()
    }
    for name, home in homes.items():
        async with home.front() as front:
            task, view = await run(front, "FAKE: bash echo I am $WHO | text done", allowed_tools=["Bash"])
            assert task.outcome is Outcome.SUCCEEDED, task.reason
            page = await task_logs(front, task.id)
            assert any(f"I am {name}" in line.text for line in page.lines)
            assert keys[name] not in view.model_dump_json() + page.model_dump_json()
    assert len({request.key_hash for request in api.requests if request.key_hash}) >= len(keys)
    for path in claude_home.state_dir.rglob("*"):
        if path.is_file() and path.name != "env":
            data = path.read_bytes()
            assert not [key for key in keys.values() if key.encode() in data], path


async def test_a_delegated_run_delegates_no_further(claude_home: Home) -> None:
    claude_home.env |= {"CLAUDINE_DEPTH": "1"}
    async with claude_home.front() as front:
        with pytest.raises(NotNow, match=r"claude\.maxDepth"):
            await delegate(front, DelegateRequest("FAKE: text hello"))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"permission_mode": "bypassPermissions"}, "permissionMode"),
        ({"permission_mode": "sudo"}, "permissionMode"),
        ({"extra_args": ["--dangerously-skip-permissions"]}, "extraArgs"),
        ({"extra_args": ["--settings", "x"]}, "extraArgs"),
        ({"extra_args": ["--session-id", "x"]}, "extraArgs"),
        ({"mcp_config": {"mcpServers": {"mine": {"command": "x"}}}}, "mcpConfig"),
        ({"max_turns": 0}, "maxTurns"),
        ({"max_budget_usd": -1}, "maxBudgetUsd"),
        ({"allowed_tools": ["--x"]}, "allowedTools"),
        ({"timeout": 30}, "timeout"),
    ],
)
async def test_what_a_run_may_not_have_is_refused_by_name(
    claude_home: Home, options: dict[str, Any], field: str
) -> None:
    async with claude_home.front() as front:
        with pytest.raises(InvalidInput) as refused:
            await delegate(front, DelegateRequest("FAKE: text hello", **options))
        assert refused.value.field == field
        assert claude_home.query("SELECT count(*) FROM tasks") == [(0,)]


async def test_a_missing_or_an_old_claude_is_told_before_the_task_is_accepted(claude_home: Home) -> None:
    old = claude_home.folder / "old-claude"
    old.write_text("#!/bin/sh\necho '1.0.17 (Claude Code)'\n", encoding="ascii")
    old.chmod(0o755)
    for command, text in ((str(old), "1.0.17"), ("no-such-claude", "PATH")):
        claude_home.configure(claude={"command": command})
        async with claude_home.front() as front:
            with pytest.raises(InvalidInput, match=r"claude\.command") as refused:
                await delegate(front, DelegateRequest("FAKE: text hello"))
            assert text in str(refused.value)


async def test_a_session_that_is_gone_is_told_in_the_outcome(claude_home: Home) -> None:
    async with claude_home.front() as front:
        first, _ = await run(front, "FAKE: text hello")
        forget_session(claude_home, first)
        task, _ = await run(front, "FAKE: text more", continue_from=first.id)
        assert task.outcome is Outcome.FAILED
        assert "session" in (task.reason or "")


def forget_session(home: Home, task: Task) -> None:
    for transcript in Path(home.env["HOME"]).rglob(f"{task.session_id}.jsonl"):
        transcript.unlink()


def claude_command(home: Home) -> str:
    return json.loads(Path(home.env["CLAUDINE_CONFIG"]).read_text(encoding="utf-8"))["claude"]["command"]
