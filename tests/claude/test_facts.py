"""What this project builds on in Claude Code, for one run from its prompt to its end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from uuid import uuid4

import pytest
from claude_code import KEY, ClaudeCode, Run, tiny_server
from fake_api import FakeApi
from fake_request import key_hash
from support import kill, processes_of, wait_until

pytestmark = pytest.mark.claude

BASH = ("--allowedTools", "Bash")
ENDLESS = "touch began && sleep 321"
"""A command that is there until it is ended. Claude Code refuses one that is nothing but a long sleep."""

NOT_FOUND = "No conversation found with session ID"


def outcome(run: Run) -> tuple[int, str, bool, str | None]:
    """Wait for the end of a run; give the exit code, and of its last result subtype, is_error and terminal_reason."""
    code, result = run.wait(), run.result
    return code, result["subtype"], result["is_error"], result.get("terminal_reason")


def sleepers(claude: ClaudeCode) -> list[int]:
    return [pid for pid, line in processes_of(claude.folder).items() if line.endswith(": sleep 321")]


def until_the_tool_runs(claude: ClaudeCode) -> None:
    wait_until((claude.work / "began").exists, what="the tool has begun")


def until_it_is_on_disk(claude: ClaudeCode, session: str, words: str) -> None:
    """Wait until a transcript has these words: it is written a little later than the output."""

    def written() -> bool:
        paths = (claude.folder / "claude-home").glob(f".claude/projects/*/{session}.jsonl")
        return any(words in path.read_text(encoding="utf-8") for path in paths)

    wait_until(written, what=f"{words!r} in the transcript")


def test_the_version_is_told_at_once(claude: ClaudeCode) -> None:
    done = subprocess.run(
        [*claude.argv, "--version"], env=claude.env, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+ \(Claude Code\)\n", done.stdout)
    assert not (claude.folder / "claude-home" / ".claude").exists()


def test_a_run_without_tools_succeeds(claude: ClaudeCode, api: FakeApi) -> None:
    session = str(uuid4())
    run = claude.run("FAKE: text hello", "--session-id", session)

    assert outcome(run) == (0, "success", False, "completed")
    assert run.kinds() == ["system:init", "assistant", "result:success"]
    assert {line["session_id"] for line in run.lines()} == {session}
    assert run.result["result"] == "hello"
    (request,) = api.requests
    assert (request.session_id, request.key_hash) == (session, key_hash(KEY))


def test_a_tool_runs_and_the_model_hears_of_it(claude: ClaudeCode, api: FakeApi) -> None:
    run = claude.run("FAKE: bash echo made > file; cat file | text done", *BASH)

    assert outcome(run) == (0, "success", False, "completed")
    assert run.kinds() == ["system:init", "assistant", "user", "assistant", "result:success"]
    assert (claude.work / "file").read_text() == "made\n"
    assert '"content": "made"' in api.requests[-1].news


def test_without_a_permission_the_run_succeeds_all_the_same(claude: ClaudeCode) -> None:
    run = claude.run("FAKE: bash touch file | text done")

    assert outcome(run) == (0, "success", False, "completed")
    assert not (claude.work / "file").exists()
    (denial,) = run.result["permission_denials"]
    assert (denial["tool_name"], denial["tool_input"]["command"]) == ("Bash", "touch file")
    assert run.lines("system", "permission_denied")[0]["tool_use_id"] == denial["tool_use_id"]


def test_a_tool_of_an_mcp_server_decides_on_permissions(claude: ClaudeCode) -> None:
    record = claude.folder / "calls"
    options = ("--mcp-config", tiny_server(record), "--permission-prompt-tool", "mcp__tiny__decide")
    run = claude.run("FAKE: bash touch file | bash touch forbidden | text done", *options)

    assert outcome(run) == (0, "success", False, "completed")
    assert [path.name for path in claude.work.iterdir()] == ["file"]
    assert [denial["tool_input"]["command"] for denial in run.result["permission_denials"]] == [
        "touch forbidden"
    ]
    assert not run.lines("system", "permission_denied")
    asked = [json.loads(line)["arguments"] for line in record.read_text().splitlines()]
    assert [set(question) for question in asked] == [{"tool_name", "input", "tool_use_id"}] * 2


def test_a_prompt_of_a_megabyte_arrives_whole(claude: ClaudeCode, api: FakeApi) -> None:
    lines = "".join(f"line {n} of the prompt\n" for n in range(45_000))
    run = claude.run(f"FAKE: text read\n\n{lines}the last line")

    assert len(lines) > 1_000_000
    assert outcome(run) == (0, "success", False, "completed")
    assert "line 44999 of the prompt\\nthe last line" in api.requests[0].text


def test_sessions_side_by_side_do_not_disturb_each_other(claude: ClaudeCode) -> None:
    script = "FAKE: error 529 times 1 | bash echo {0} | text done {0}"
    runs = [claude.start(script.format(n), *BASH) for n in range(3)]

    assert [outcome(run)[:3] for run in runs] == [(0, "success", False)] * 3
    assert [run.result["result"] for run in runs] == ["done 0", "done 1", "done 2"]


# -- what goes wrong ----------------------------------------------------------------------------------------


def test_a_request_that_is_refused_fails_the_run_at_once(claude: ClaudeCode, api: FakeApi) -> None:
    run = claude.run("FAKE: error 400 | text done")

    assert outcome(run) == (1, "success", True, "api_error")
    assert run.result["api_error_status"] == 400
    assert not run.lines("system", "api_retry")
    # It tries without this and that of what it asked for, at once and without a word.
    assert {request.outcome for request in api.requests} == {"error 400"}


def test_an_api_that_stays_overloaded_fails_the_run_after_three_requests(
    claude: ClaudeCode, api: FakeApi
) -> None:
    run = claude.run("FAKE: error 529 | text done")

    assert outcome(run) == (1, "success", True, "api_error")
    assert run.result["api_error_status"] == 529
    assert len(api.requests) == 3
    assert [line["error_status"] for line in run.lines("system", "api_retry")] == [529, 529]


def test_an_answer_that_breaks_off_is_asked_for_again(claude: ClaudeCode, api: FakeApi) -> None:
    run = claude.run("FAKE: cut times 1 | text all of it")

    assert outcome(run) == (0, "success", False, "completed")
    assert run.result["result"] == "all of it"
    assert [request.outcome for request in api.requests] == ["cut", "answered"]


def test_without_a_login_nothing_is_asked_of_the_api(claude: ClaudeCode, api: FakeApi) -> None:
    env = {name: value for name, value in claude.env.items() if name != "ANTHROPIC_API_KEY"}
    run = claude.start("FAKE: text hello", env=env)

    assert outcome(run) == (1, "success", True, "api_error")
    assert run.result["api_error_status"] is None
    assert run.lines("assistant")[0]["error"] == "authentication_failed"
    assert "/login" in run.result["result"]
    assert not api.requests


def test_a_run_ends_at_its_most_turns(claude: ClaudeCode) -> None:
    run = claude.run("FAKE: bash echo 1 | bash echo 2 | text done", "--max-turns", "1", *BASH)

    assert outcome(run) == (1, "error_max_turns", True, "max_turns")
    assert run.result["errors"] == ["Reached maximum number of turns (1)"]


def test_a_run_ends_when_its_budget_is_spent_even_by_the_last_answer(claude: ClaudeCode) -> None:
    run = claude.run("FAKE: expensive | text done", "--max-budget-usd", "1")

    assert outcome(run) == (1, "error_max_budget_usd", True, "budget_exhausted")
    assert run.result["total_cost_usd"] > 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--session-id", "abc"), "Error: Invalid session ID. Must be a valid UUID."),
        (("--no-such-option",), "error: unknown option '--no-such-option'"),
    ],
)
def test_a_bad_option_is_said_on_stderr_only(
    claude: ClaudeCode, options: tuple[str, ...], complaint: str
) -> None:
    run = claude.run("FAKE: text hello", *options)

    assert (run.wait(), run.errors.strip(), run.lines()) == (1, complaint, [])


# -- sessions and signals -----------------------------------------------------------------------------------


def test_a_session_id_is_used_once(claude: ClaudeCode) -> None:
    session = str(uuid4())
    claude.run("FAKE: text hello", "--session-id", session)
    run = claude.run("FAKE: text hello", "--session-id", session)

    assert (run.wait(), run.lines()) == (1, [])
    assert f"Session ID {session} is already in use" in run.errors


def test_an_unknown_session_is_not_resumed(claude: ClaudeCode) -> None:
    session = str(uuid4())
    run = claude.run("FAKE: text hello", "--resume", session)

    assert outcome(run) == (1, "error_during_execution", True, None)
    assert run.kinds() == ["result:error_during_execution"]
    assert run.result["errors"] == [f"{NOT_FOUND}: {session}"]


def test_a_session_is_resumed_from_another_folder(claude: ClaudeCode, api: FakeApi) -> None:
    session = str(uuid4())
    claude.run("FAKE: text one | text two", "--session-id", session)
    run = claude.run("and now?", "--resume", session, cwd=claude.folder)

    assert outcome(run) == (0, "success", False, "completed")
    assert (run.result["result"], run.result["session_id"]) == ("two", session)


def test_sigterm_ends_a_run_and_its_tool_without_a_result(claude: ClaudeCode) -> None:
    run = claude.start(f"FAKE: bash {ENDLESS} | text done", *BASH)
    until_the_tool_runs(claude)
    run.process.send_signal(signal.SIGTERM)

    assert run.wait() == 143
    assert run.lines("result") == []
    wait_until(lambda: not sleepers(claude), what="the tool has ended")


def test_a_killed_run_leaves_its_tool_and_is_resumed(claude: ClaudeCode, api: FakeApi) -> None:
    session = str(uuid4())
    run = claude.start(f"FAKE: bash {ENDLESS} | text done", "--session-id", session, *BASH)
    until_the_tool_runs(claude)
    until_it_is_on_disk(claude, session, '"type":"tool_use"')
    run.process.kill()

    assert run.wait() == -signal.SIGKILL
    assert sleepers(claude)
    for pid in processes_of(claude.folder):
        kill(pid)
    run = claude.run("go on", "--resume", session, *BASH)
    assert (outcome(run), run.result["result"]) == ((0, "success", False, "completed"), "done")
    assert "its outcome is unknown" in api.requests[-1].text


def test_a_run_that_was_killed_before_its_first_answer_is_resumed_or_begun_again(
    claude: ClaudeCode, api: FakeApi
) -> None:
    session = str(uuid4())
    script = "FAKE: hang times 1 | text done"
    run = claude.start(script, "--session-id", session)
    wait_until(lambda: api.requests, what="a request")
    run.process.kill()
    run.wait()

    again = claude.run("go on", "--resume", session)
    if NOT_FOUND in again.errors:
        # It had not been written to disk yet; then the id is still free.
        again = claude.run(script, "--session-id", session)
    assert (outcome(again), again.result["result"]) == ((0, "success", False, "completed"), "done")
