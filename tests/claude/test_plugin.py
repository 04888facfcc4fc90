"""The plugin in the real Claude Code: word of tasks wakes an idle session, reaches a busy one, and is told once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from claude_code import LIMIT_S, PLUGIN, ClaudeCode, install_plugin, program_on_path
from claude_terminal import Terminal
from fake_api import FakeApi
from fake_request import Request
from support import Home, alive, ended, kill, processes_of, wait_until

from claudine_mcp.core.states import Outcome
from claudine_mcp.front.delegate import DelegateRequest, delegate

pytestmark = pytest.mark.claude

TOOLS = "mcp__plugin_claudine_claudine"
OPTIONS = ("--plugin-dir", str(PLUGIN), "--allowedTools", TOOLS, "Bash", "Agent")
GATE = "until test -e {}; do sleep 0.05; done"
MONITOR = "Monitor event"
NOTICE = "An automatic notice"
STALLED = "task:stalled"
FALLS_SILENT = "until test -e quiet; do echo word; sleep 0.05; done; until test -e go; do sleep 0.05; done"


def call(tool: str, **arguments: object) -> str:
    """Give the step that calls a tool; a script among the arguments keeps its own steps."""
    return f"tool {tool} " + json.dumps(arguments).replace(" | ", r" \| ")


def run_command(command: str, name: str) -> str:
    """Give the step that starts a task."""
    return call(f"{TOOLS}__RunCommand", command=command, name=name)


@pytest.fixture
def plugged(claude_home: Home, claude: ClaudeCode) -> ClaudeCode:
    """Claude Code whose plugin finds the program on its PATH, and the state directory of `claude_home`."""
    claude.env |= {name: claude_home.env[name] for name in ("CLAUDINE_HOME", "CLAUDINE_CONFIG")}
    claude.env["PATH"] = program_on_path(claude_home.folder, claude.env["PATH"])
    return claude


@contextmanager
def session(claude: ClaudeCode, *options: str) -> Iterator[Terminal]:
    """An interactive session whose server and monitor are there."""
    with Terminal(claude, *OPTIONS, *options) as terminal:
        # The hook of the first prompt waits for the server.
        terminal.wait_for("auto mode on")
        terminal.say("FAKE: text ready")
        terminal.wait_for("● ready")
        wait_until(lambda: monitors(terminal.pid), LIMIT_S, "a monitor")
        yield terminal


def monitors(claude_pid: int) -> list[int]:
    """Give the pids of the processes that follow the monitor's file of a Claude Code."""
    found: list[int] = []
    for process in psutil.Process(claude_pid).children(recursive=True):
        try:
            if process.name() in {"tail", "sh"} and any(
                f"/{claude_pid}@" in argument for argument in process.cmdline()
            ):
                found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def told(api: FakeApi, words: str) -> list[Request]:
    """Give the requests with which the model heard of something, for the first time or again."""
    return [request for request in api.requests if words in request.news]


def heard(api: FakeApi, words: str) -> Request:
    """Wait until the model hears of something; give the request."""
    return wait_until(lambda: told(api, words), LIMIT_S, f"the model is told: {words}")[0]


def report(home: Home, request: Request, what: str, event_type: str = "task:ended") -> None:
    """Print how long it took from the last event of this type to the model's request."""
    asked_at = request.at_s + (time.time() - time.monotonic())
    event = "SELECT max(at) FROM events WHERE type = ? AND at < ?"
    took_s = asked_at - home.query(event, event_type, asked_at)[0][0]
    print(f"\n{what}: the model had word of it after {took_s:.2f} s")  # noqa: T201 - measured, not asserted


def stall(home: Home) -> None:
    """Have `FALLS_SILENT` fall silent, and wait until that is a warning."""
    (home.work / "quiet").touch()
    query = "SELECT 1 FROM alerts WHERE type = ? AND cleared_at IS NULL"
    wait_until(lambda: home.query(query, STALLED), LIMIT_S, "the silence is a warning")


@pytest.fixture
def impatient(claude_home: Home, claude: ClaudeCode) -> Home:
    """A home in which a second's silence is a stall."""
    monitoring = {"sampleInterval": "100ms", "stallThreshold": "1s"}
    claude_home.configure(claude={"command": claude.argv[0]}, monitoring=monitoring)
    return claude_home


def test_the_end_of_a_task_wakes_an_idle_session_once(
    claude_home: Home, plugged: ClaudeCode, api: FakeApi
) -> None:
    with session(plugged) as terminal:
        for name, end in (("good", "exit 0"), ("bad", "exit 3")):
            terminal.say(f"FAKE: {run_command(GATE.format(name) + '; ' + end, name)} | text {name} began")
            terminal.wait_for(f"● {name} began")
        (claude_home.work / "good").touch()
        first = heard(api, "succeeded")
        (claude_home.work / "bad").touch()
        report(claude_home, first, "an end, idle session")
        second = heard(api, "failed: exit code 3")
        for request in (first, second):
            assert MONITOR in request.news
            assert "NOT USER INPUT" in request.news
        terminal.say("FAKE: bash echo again | text the end of it")
        terminal.wait_for("● the end of it")
        assert terminal.leave() == 0
    assert not [request for request in api.requests if "TellSession" in json.dumps(request.body)]
    last = api.requests[-1].text
    assert last.count("succeeded") == last.count("failed: exit code 3") == 1


def test_a_stall_wakes_an_idle_session_once(impatient: Home, plugged: ClaudeCode, api: FakeApi) -> None:
    with session(plugged) as terminal:
        terminal.say(f"FAKE: {run_command(FALLS_SILENT, 'slow')} | text slow began")
        terminal.wait_for("● slow began")
        stall(impatient)
        woken = heard(api, "has been silent for")
        report(impatient, woken, "a stall, idle session", STALLED)
        assert MONITOR in woken.news
        assert "NOT USER INPUT" in woken.news
        (alert,) = impatient.query("SELECT seq FROM alerts")[0]
        ((task_id,),) = impatient.query("SELECT id FROM tasks")
        assert f"[alert {alert}: TaskStatus {task_id}]" in woken.news
        terminal.wait_for("● the script is over")
        terminal.say("FAKE: bash echo again | text nothing new")
        terminal.wait_for("● nothing new")
        assert len(told(api, "has been silent")) == 1
        terminal.leave()


def test_a_permission_question_and_what_is_left_running_wake_an_idle_session(
    claude_home: Home, plugged: ClaudeCode, api: FakeApi
) -> None:
    delegate = call(
        f"{TOOLS}__DelegateTask",
        prompt="FAKE: bash touch made | text done",
        askPermission=True,
        name="asker",
    )
    with session(plugged) as terminal:
        terminal.say(f"FAKE: {delegate} | text asked for it")
        terminal.wait_for("● asked for it")
        question = heard(api, "asks to use Bash")
        report(claude_home, question, "a permission question, idle session", "task:needs-permission")
        assert MONITOR in question.news
        assert "ask the user, then AnswerAlert" in question.news
        assert not (claude_home.work / "made").exists()
        (alert,) = claude_home.query("SELECT seq FROM events WHERE type = 'task:needs-permission'")
        answer = call(f"{TOOLS}__AnswerAlert", alertId=alert[0], action="allow")
        terminal.say(f"FAKE: {answer} | text answered")
        heard(api, "asker (")
        wait_until(lambda: told(api, ") succeeded"), LIMIT_S)
        assert (claude_home.work / "made").exists()
        terminal.wait_for("● the script is over")

        terminal.say(f"FAKE: {run_command('sleep 300 & exit 0', 'messy')} | text messy began")
        left = heard(api, "left 1 process running")
        report(claude_home, left, "leftovers, idle session", "task:leftovers")
        assert MONITOR in left.news
        (task,) = claude_home.query("SELECT id FROM tasks WHERE name = 'messy'")
        terminal.wait_for("● the script is over")
        terminal.say(f"FAKE: {call(f'{TOOLS}__CancelTask', taskId=task[0])} | text cancelled it")
        terminal.wait_for("● cancelled it")


def test_a_busy_session_hears_with_the_next_tool_result(
    claude_home: Home, plugged: ClaudeCode, api: FakeApi
) -> None:
    # The session is busy with a command of its own until the line is there; Claude Code reads it during the next.
    own = "until test -e over; do sleep 0.05; done; echo first command"
    with session(plugged) as terminal:
        script = f"{run_command('exit 3', 'bad')} | bash {own} | bash sleep 2; echo second command"
        terminal.say(f"FAKE: {script} | text the end of it")
        wait_until(lambda: claude_home.query("SELECT seq FROM handed"), LIMIT_S, "it is told")
        (claude_home.work / "over").touch()
        terminal.wait_for("● the end of it")
        assert terminal.leave() == 0
    (request,) = told(api, "failed: exit code 3")
    report(claude_home, request, "an end, busy session (its tool runs for two seconds)")
    assert "command" in request.news
    assert api.requests[-1].text.count("failed: exit code 3") == 1


def test_an_answer_that_tells_of_an_end_is_not_followed_by_a_line_about_it(
    claude_home: Home, plugged: ClaudeCode, api: FakeApi
) -> None:
    wait = call(f"{TOOLS}__WaitForEvents", taskIds=["<<taskId>>"], until="ended")
    with session(plugged) as terminal:
        terminal.say(f"FAKE: {run_command('sleep 1; exit 3', 'waited')} | {wait} | text first")
        terminal.wait_for("● first")
        heard(api, "waited (")
        terminal.say(f"FAKE: {run_command('exit 4', 'marker')} | text second")
        heard(api, "marker (")
        assert terminal.leave() == 0
    for request in told(api, "waited ("):
        assert MONITOR not in request.news
        assert NOTICE not in request.news


def test_sessions_of_different_projects_hear_only_what_concerns_them(
    claude_home: Home, plugged: ClaudeCode, api: FakeApi
) -> None:
    elsewhere = claude_home.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "work").mkdir()
    env = plugged.env | {"HOME": str(elsewhere)}
    other = ClaudeCode(plugged.argv, env, elsewhere / "work", elsewhere)
    with session(plugged) as here, session(other) as there:
        for terminal, name in ((here, "ours"), (there, "theirs")):
            terminal.say(f"FAKE: {run_command('sleep 1; exit 3', name)} | text {name} began")
        ids = {name: heard(api, f"{name} (").session_id for name in ("ours", "theirs")}
        assert len(set(ids.values())) == 2
        for name, session_id in ids.items():
            assert {request.session_id for request in told(api, f"{name} (")} == {session_id}


def test_a_subagent_is_not_told(claude_home: Home, plugged: ClaudeCode, api: FakeApi) -> None:
    # In -p there is no monitor, so that only the hooks can tell: first that of the subagent, after its first command.
    waits = "until test -e {}; do sleep 0.05; done; sleep 2"
    agent = call(
        "Agent",
        description="d",
        prompt=f"FAKE: bash {waits.format('bad')} | bash touch later | text sub done",
        subagent_type="general-purpose",
    )
    bad = run_command("touch bad; exit 3", "bad")
    script = f"FAKE: {bad} | {agent} | bash {waits.format('later')} | text the end of it"
    plugged.run(script, *OPTIONS, strict=False)
    (request,) = told(api, "bad (")
    assert NOTICE in request.news
    assert "the end of it" in request.text  # only the session itself has that in its script
    subagents = [found for found in api.requests if "the end of it" not in found.text]
    assert len(subagents) >= 2
    assert subagents[1].at_s < request.at_s


def test_a_plain_run_waits_at_its_end_for_what_it_delegated(
    claude_home: Home, plugged: ClaudeCode, api: FakeApi
) -> None:
    script = f"FAKE: {run_command(GATE.format('go'), 'slow')} | text began | text it is over"
    run = plugged.start(script, *OPTIONS, strict=False)
    wait_until(lambda: claude_home.query("SELECT 1 FROM tasks WHERE state = 'running'"), LIMIT_S)
    wait_until(lambda: any("began" in json.dumps(line) for line in run.lines("assistant")), LIMIT_S)
    assert run.process.poll() is None
    (claude_home.work / "go").touch()
    assert run.wait() == 0
    assert run.result["result"] == "it is over"
    assert "Stop hook additional context" in api.requests[-1].news
    assert "slow (" in api.requests[-1].news


def test_a_plain_run_ends_at_once_where_waiting_is_switched_off(
    claude_home: Home, plugged: ClaudeCode
) -> None:
    claude_home.configure(claude={"command": plugged.argv[0]}, notifications={"stopWait": 0})
    run = plugged.run(f"FAKE: {run_command('sleep 300', 'slow')} | text began", *OPTIONS, strict=False)
    assert run.result["result"] == "began"
    assert claude_home.query("SELECT outcome FROM tasks") == [(None,)]


def test_a_conversation_is_not_held_up(claude_home: Home, plugged: ClaudeCode, api: FakeApi) -> None:
    """Neither that of a person nor that of a program."""
    run = plugged.start(None, *OPTIONS, strict=False)
    run.say(f"FAKE: {run_command('sleep 300', 'slow')} | text began")
    assert run.wait_for("result")["result"] == "began"
    run.finish()
    with session(plugged) as terminal:
        terminal.say(f"FAKE: {run_command('sleep 300', 'slower')} | text still here")
        terminal.wait_for("● still here")
        terminal.say("FAKE: text and here")
        terminal.wait_for("● and here")
        assert terminal.leave() == 0
    assert claude_home.query("SELECT outcome FROM tasks") == [(None,), (None,)]


def test_its_prompts_can_be_typed(claude_home: Home, plugged: ClaudeCode, api: FakeApi) -> None:
    with session(plugged) as terminal:
        terminal.say(f"/{TOOLS}__triage")
        assert "No alert is open." in heard(api, "What of my background tasks needs me?").news
        terminal.say(f"/{TOOLS}__delegate rename-the-module")
        assert "rename-the-module" in heard(api, "Hand this over to a background task").news


def test_no_monitor_outlives_its_session(claude_home: Home, plugged: ClaudeCode) -> None:
    with session(plugged) as terminal:
        (monitor,) = monitors(terminal.pid)
        kill(terminal.pid)
        wait_until(lambda: not alive(monitor), LIMIT_S, "the monitor is gone")
    with session(plugged) as terminal:
        (monitor,) = monitors(terminal.pid)
        assert terminal.leave() == 0
        wait_until(lambda: not alive(monitor), LIMIT_S, "the monitor is gone")
    wait_until(lambda: not processes_of(Path(plugged.env["HOME"])), LIMIT_S)


async def test_a_delegated_run_is_not_troubled_by_the_plugin_of_its_user(
    claude_home: Home, plugged: ClaudeCode, api: FakeApi
) -> None:
    """Its hooks are called there, and there is no server for them."""
    install_plugin(plugged.argv, plugged.env, plugged.work)
    async with claude_home.front() as front:
        request = DelegateRequest("FAKE: bash echo hi | text done", allowed_tools=["Bash"])
        task = await ended(front, await delegate(front, request), timeout_s=LIMIT_S)
    assert (task.outcome, task.reason) == (Outcome.SUCCEEDED, "exit code 0 and a result without error")
    assert "stop-hook-error" in claude_home.output(task)
    assert not [found for found in api.requests if "not connected" in found.text]


@contextmanager
def unplugged_session(claude: ClaudeCode) -> Iterator[Terminal]:
    """An interactive session with our server and without the plugin."""
    server = json.dumps({"mcpServers": {"claudine": {"command": "claudine-mcp"}}})
    with Terminal(claude, "--mcp-config", server, "--allowedTools", "mcp__claudine") as terminal:
        terminal.wait_for("auto mode on")
        yield terminal


def test_without_the_plugin_an_idle_session_that_waits_for_events_is_woken_with_the_first_warning(
    impatient: Home, plugged: ClaudeCode, api: FakeApi
) -> None:
    with unplugged_session(plugged) as terminal:
        begin = call("mcp__claudine__RunCommand", command=FALLS_SILENT, name="slow")
        wait = call("mcp__claudine__WaitForEvents", minSeverity="warning")
        terminal.say(f"FAKE: {begin} | {wait} | text waiting")
        terminal.wait_for("● waiting")
        stall(impatient)
        woken = heard(api, "has been silent for")
        report(impatient, woken, "a stall, idle session without the plugin, WaitForEvents open", STALLED)
        assert "<task-notification>" in woken.news
        terminal.wait_for("● the script is over")
        wait = call("mcp__claudine__WaitForEvents", taskIds=["<<taskId>>"], until="ended")
        # Else the user is asked by a form what to do about it, and the session waits for that.
        (alert,) = impatient.query("SELECT seq FROM alerts")[0]
        answer = call("mcp__claudine__AnswerAlert", alertId=alert, action="continue")
        terminal.say(f"FAKE: {answer} | {wait} | text waiting again")
        terminal.wait_for("● waiting again")
        (impatient.work / "go").touch()
        report(impatient, heard(api, ") succeeded"), "an end, the same")


def test_without_the_plugin_an_idle_session_that_waits_for_nothing_hears_with_its_next_call(
    impatient: Home, plugged: ClaudeCode, api: FakeApi
) -> None:
    with unplugged_session(plugged) as terminal:
        begin = call("mcp__claudine__RunCommand", command=FALLS_SILENT, name="slow")
        terminal.say(f"FAKE: {begin} | text began")
        terminal.wait_for("● began")
        stall(impatient)
        terminal.say("FAKE: text not yet")
        terminal.wait_for("● not yet")
        assert not told(api, "has been silent")
        terminal.say(f"FAKE: {call('mcp__claudine__SystemStatus')} | text now")
        terminal.wait_for("● now")
        (request,) = told(api, "has been silent")
        assert "alerts" in request.news


def test_without_the_plugin_results_have_alerts(claude_home: Home, plugged: ClaudeCode, api: FakeApi) -> None:
    server = json.dumps({"mcpServers": {"claudine": {"command": "claudine-mcp"}}})
    ours = "mcp__claudine__"
    script = (
        f"FAKE: {run_command('exit 3', 'bad').replace(TOOLS + '__', ours)}"
        f' | tool {ours}WaitForEvents {{"taskIds": ["<<taskId>>"], "until": "ended"}}'
        f" | tool {ours}SystemStatus | text over"
    )
    run = plugged.run(script, "--mcp-config", server, "--allowedTools", "mcp__claudine")
    assert run.result["result"] == "over"
    status = json.loads(run.lines("user")[-1]["message"]["content"][0]["content"])
    assert [alert["type"] for alert in status["alerts"]] == ["task:ended"]
    assert api.requests[-1].tools.isdisjoint({f"{ours}TellSession", f"{ours}HoldSession"})
