"""How delegated runs of the real Claude Code end: outcome, reason, cost and session are right each time."""

from __future__ import annotations

import json
import os
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from delegating import (
    BASH,
    GATE,
    LIMIT_S,
    claude_command,
    handed_over,
    in_phase,
    printed,
    retried,
    run,
    set_up,
    using,
)
from fake_api import FakeApi
from fake_script import Fault
from support import Home, alive, ended, wait_for

from claudine_mcp.core.models import Task
from claudine_mcp.core.states import Outcome
from claudine_mcp.front.details import task_view
from claudine_mcp.front.views import TaskView

pytestmark = pytest.mark.claude

ONE_RETRY = {"CLAUDE_CODE_MAX_RETRIES": "1"}
"""Ten are the default, which take three minutes; that end is recorded: api-500-ten-retries, api-401-ten-retries."""

WELL = "exit code 0 and a result without error"


@dataclass(frozen=True)
class End:
    """A run and how it ends: the script, what it is delegated with, and what its reason begins with or has in it."""

    script: str
    outcome: Outcome
    reason: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    env: dict[str, str] = field(default_factory=dict[str, str])


def well(script: str, **options: Any) -> End:
    return End(script, Outcome.SUCCEEDED, WELL, options)


def failed(script: str, reason: str, env: dict[str, str] | None = None, **options: Any) -> End:
    return End(script, Outcome.FAILED, reason, options, env or {})


ENDS = [
    well("text hello"),
    well("bash echo hi | text done", **BASH),
    End("bash touch x | text done", Outcome.SUCCEEDED, f"{WELL}; 1 tool call was not permitted"),
    failed("error 400", "the API answered 400 (bad request): "),
    failed(
        "error 401", "401 (not authenticated) and Claude Code gave up after 1 retry: Failed to", ONE_RETRY
    ),
    failed("error 429 retry-after 120", "the API answered 429 (rate limit) and Claude Code gave up at once"),
    failed("error 429", "429 (rate limit) and Claude Code gave up after 1 retry", ONE_RETRY),
    well("error 429 retry-after 1 times 1 | text done"),
    failed("error 500", "500 (server error) and Claude Code gave up after 1 retry", ONE_RETRY),
    failed("error 529", "529 (overloaded) and Claude Code gave up after 2 retries"),
    well("error 529 times 1 | text done"),
    well("cut times 1 | text whole"),
    failed(
        "bash echo 1 | bash echo 2 | bash echo 3 | text done", "max turns (2) reached", max_turns=2, **BASH
    ),
    failed(
        "expensive | bash echo 1 | text done",
        "budget of $0.5 exceeded: it had spent $",
        max_budget_usd=0.5,
        **BASH,
    ),
]


def check_session_and_cost(home: Home, api: FakeApi, task: Task, view: TaskView) -> None:
    """See that what is shown is what Claude Code has printed, and what the API has seen."""
    lines = printed(home, task)
    assert view.session_id == task.session_id
    assert {line["session_id"] for line in lines} == {task.session_id}
    assert api.requests == api.of_session(task.session_id or "")
    spent = [line["total_cost_usd"] for line in lines if line["type"] == "result"]
    assert view.cost_usd == view.total_cost_usd == round(spent[-1], 6)
    answered = [request for request in api.requests if request.outcome == "answered"]
    assert bool(view.cost_usd) == bool(answered)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.script[:40])
async def test_a_run_ends_as_its_stream_and_its_exit_say(claude_home: Home, api: FakeApi, end: End) -> None:
    claude_home.env |= end.env
    async with claude_home.front() as front:
        task, view = await run(front, end.script, **end.options)
    code = 0 if end.outcome is Outcome.SUCCEEDED else 1
    assert (task.outcome, task.exit_code) == (end.outcome, code), task.reason
    assert end.reason in (task.reason or "")
    check_session_and_cost(claude_home, api, task, view)
    denied = [denial["tool"] for denial in view.permission_denials or []]
    assert denied == (["Bash"] if "not permitted" in end.reason else [])


async def test_who_is_not_logged_in_is_told_so(claude_home: Home, api: FakeApi) -> None:
    del claude_home.env["ANTHROPIC_API_KEY"]
    async with claude_home.front() as front:
        task, view = await run(front, "text hello")
    assert task.outcome is Outcome.FAILED
    assert task.reason == "Claude Code could not authenticate: Not logged in · Please run /login"
    check_session_and_cost(claude_home, api, task, view)


async def test_an_api_that_nobody_serves_is_told_as_such(claude_home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    claude_home.env |= {**ONE_RETRY, "ANTHROPIC_BASE_URL": url}
    async with claude_home.front() as front:
        task, view = await run(front, "text hello")
    assert (task.outcome, view.cost_usd) == (Outcome.FAILED, 0)
    assert (task.reason or "").startswith(
        "the API could not be reached and Claude Code gave up after 1 retry"
    )


async def test_while_a_request_is_sent_again_the_run_is_shown_as_retrying(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, "error 429 retry-after 8 times 1 | text done")
        await in_phase(front, task, "rate_limited")
        phase = (await task_view(front, task.id)).phase
        assert phase is not None
        assert phase.attempt == "1 of 10"
        assert phase.until is not None
        await front.cancel(task.id)
        other = await handed_over(front, "error 500 times 4 | text done")
        await in_phase(front, other, "retrying")
        await front.cancel(other.id)


@pytest.mark.parametrize(
    ("event", "script", "outcome", "reason"),
    [
        ("Stop", "text done", Outcome.SUCCEEDED, WELL),
        (
            "PostToolUse",
            "bash echo hi | text done",
            Outcome.FAILED,
            "a hook stopped it, after Bash (echo hi)",
        ),
    ],
)
async def test_a_hook_that_stops_a_turn_makes_it_fail_unless_the_answer_was_there(
    claude_home: Home, event: str, script: str, outcome: Outcome, reason: str
) -> None:
    says = json.dumps({"continue": False, "stopReason": "enough"})
    hook = {"hooks": [{"type": "command", "command": f"echo '{says}'"}]}
    (claude_home.work / ".claude").mkdir()
    (claude_home.work / ".claude" / "settings.json").write_text(json.dumps({"hooks": {event: [hook]}}))
    async with claude_home.front() as front:
        task, _ = await run(front, script, **BASH)
    assert (task.outcome, task.reason) == (outcome, reason)


async def test_background_work_is_waited_for_and_its_second_result_counts(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        script = "background until test -e open; do sleep 0.02; done | text first | text second"
        task = await handed_over(front, script, **BASH)
        await in_phase(front, task, "background")
        assert (await task_view(front, task.id)).result == "first"
        (claude_home.work / "open").touch()
        done = await ended(front, task, LIMIT_S)
        view = await task_view(front, task.id)
    assert (done.outcome, view.result) == (Outcome.SUCCEEDED, "second"), done.reason
    check_session_and_cost(claude_home, api, done, view)


async def test_a_run_that_is_killed_in_the_middle_of_a_tool_goes_on_in_its_session(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, f"bash {GATE} | text done", **BASH)
        await using(front, task)
        os.kill(claude_home.main_pid(task), signal.SIGKILL)
        done = await ended(front, task, LIMIT_S)
        assert (done.outcome, done.signal) == (Outcome.FAILED, signal.SIGKILL)
        assert (done.reason or "").startswith("killed by signal 9 (SIGKILL) while it ran Bash (until test")
        await front.cancel(task.id)  # its tool was left running
        # What a call has come to is not known; if its record was lost with the process, it is made again.
        (claude_home.work / "open").touch()
        again = await retried(front, task)
        view = await task_view(front, task.id)
    assert (again.outcome, again.run, again.session_id) == (Outcome.SUCCEEDED, 2, task.session_id)
    assert api.requests == api.of_session(task.session_id or "")
    assert api.told("Go on with your task")
    assert view.cost_usd is not None
    assert view.total_cost_usd is not None
    assert 0 < view.cost_usd <= view.total_cost_usd


async def test_a_run_that_is_killed_before_it_has_a_session_begins_again(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, "text done")
        await wait_for(claude_home.run_path(task).joinpath("began").exists)
        os.kill(claude_home.main_pid(task), signal.SIGKILL)
        assert (await ended(front, task, LIMIT_S)).signal == signal.SIGKILL
        again = await retried(front, task)
        view = await task_view(front, task.id)
    assert (again.outcome, view.result) == (Outcome.SUCCEEDED, "done"), again.reason
    assert again.session_id == task.session_id


async def test_a_run_that_is_killed_before_its_first_answer_is_told_its_prompt_again(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        api.fault = Fault()  # no answer comes
        task = await handed_over(front, "text done")
        await wait_for(lambda: api.requests, LIMIT_S, what="a request")
        os.kill(claude_home.main_pid(task), signal.SIGKILL)
        assert (await ended(front, task, LIMIT_S)).signal == signal.SIGKILL
        api.fault = None
        again = await retried(front, task)
        view = await task_view(front, task.id)
    assert (again.outcome, view.result) == (Outcome.SUCCEEDED, "done"), again.reason
    assert again.session_id == task.session_id
    assert "FAKE: text done" in api.requests[-1].news


async def test_a_run_that_the_api_has_failed_is_retried_in_its_session(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        task, _ = await run(front, "error 400 times 6 | text done")
        assert task.outcome is Outcome.FAILED, task.reason
        again = await retried(front, task)
        view = await task_view(front, task.id)
    assert (again.outcome, again.session_id, view.result) == (Outcome.SUCCEEDED, task.session_id, "done"), (
        again.reason
    )


async def test_a_cancel_in_the_middle_of_a_tool_leaves_nothing_alive(claude_home: Home, api: FakeApi) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, f"bash echo $$ > tool.pid; {GATE} | text done", **BASH)
        await using(front, task)
        pid = int((await wait_for(lambda: claude_home.lines("tool.pid")))[0])
        main = claude_home.main_pid(task)
        done, result = await front.cancel(task.id)
        view = await task_view(front, task.id)
    assert (done.outcome, result["changed"]) == (Outcome.CANCELLED, True)
    assert not alive(pid)
    assert not alive(main)
    assert (view.session_id, view.cost_usd) == (task.session_id, None)  # no result has told what it cost


async def test_the_supervisor_is_killed_in_the_middle_of_a_turn(claude_home: Home, api: FakeApi) -> None:
    async with claude_home.front(keep=True) as front:
        task = await handed_over(front, f"bash {GATE} | text done", **BASH)
        await using(front, task)
        await claude_home.kill_supervisor()
        (claude_home.work / "open").touch()
        done = await ended(front, task, LIMIT_S)
        view = await task_view(front, task.id)
    assert (done.outcome, done.run, view.result, view.turns) == (Outcome.SUCCEEDED, 1, "done", 2)
    check_session_and_cost(claude_home, api, done, view)


async def test_a_turn_that_ends_while_there_is_no_supervisor_is_found(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, f"bash {GATE} | text done", **BASH)
        await using(front, task)
        await claude_home.kill_supervisor()
        (claude_home.work / "open").touch()
        await wait_for(lambda: printed(claude_home, task, "result"), LIMIT_S, what="a result")
        assert alive(claude_home.main_pid(task))
        async with claude_home.front(keep=True):
            done = await ended(front, task, LIMIT_S)
        view = await task_view(front, task.id)
    assert (done.outcome, done.run, view.result) == (Outcome.SUCCEEDED, 1, "done")
    check_session_and_cost(claude_home, api, done, view)


async def test_a_session_that_is_gone_is_told_in_the_outcome_and_a_fresh_retry_begins_another(
    claude_home: Home,
) -> None:
    async with claude_home.front() as front:
        first, _ = await run(front, "text hello")
        forget_session(claude_home, first)
        task, view = await run(front, "text more", continue_from=first.id)
        assert task.outcome is Outcome.FAILED
        assert task.reason == f"the session {first.session_id} does not exist; a fresh retry begins another"
        assert (view.session_id, view.cost_usd) == (first.session_id, 0)
        again = await retried(front, task, "fresh")
        assert (again.outcome, (await task_view(front, task.id)).result) == (Outcome.SUCCEEDED, "more")
        assert again.session_id != first.session_id


async def test_a_folder_that_is_gone_at_the_start_is_the_reason_why_it_did_not(claude_home: Home) -> None:
    folder = claude_home.work / "soon gone"
    folder.mkdir()
    async with claude_home.front() as front:
        first = await handed_over(front, f"bash {GATE} | text done", **BASH)
        task = await handed_over(front, "text hello", cwd=str(folder), depends_on=[first.id])
        folder.rmdir()
        (claude_home.work / "open").touch()
        done = await ended(front, task, LIMIT_S)
    assert done.outcome is Outcome.NOT_STARTED
    assert str(folder) in (done.reason or "")


async def test_a_program_that_is_gone_at_the_start_is_the_reason_why_it_did_not(claude_home: Home) -> None:
    link = claude_home.folder / "claude-link"
    link.symlink_to(claude_command(claude_home))
    set_up(claude_home, command=str(link))
    async with claude_home.front() as front:
        first = await handed_over(front, f"bash {GATE} | text done", **BASH)
        task = await handed_over(front, "text hello", depends_on=[first.id])
        await using(front, first)
        link.unlink()
        (claude_home.work / "open").touch()
        done = await ended(front, task, LIMIT_S)
    assert done.outcome is Outcome.NOT_STARTED
    assert "claude-link" in (done.reason or "")


def forget_session(home: Home, task: Task) -> None:
    for transcript in Path(home.env["HOME"]).rglob(f"{task.session_id}.jsonl"):
        transcript.unlink()
