"""An interactive Claude Code that waits for background tasks: it stays usable, is woken, and its user is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import psutil
import pytest
from claude_code import ClaudeCode
from claude_terminal import Terminal, register_claudine
from fake_api import FakeApi
from fake_request import Request
from support import Home, kill, wait_until

pytestmark = pytest.mark.claude

OPTIONS = ("--permission-mode", "default", "--allowedTools", "mcp__claudine")
GATE = "until test -e open; do sleep 0.02; done"
"""A command that lasts until the test makes the file ``open``."""
HERE = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
"""Marks what the next key is for."""
MIGRATION = {"askPermission": True, "name": "the migration"}


def call(tool: str, **arguments: Any) -> str:
    """Give the step of a script that calls a tool of ours."""
    return f"tool mcp__claudine__{tool} " + json.dumps(arguments).replace("|", r"\|")


def delegate(script: str, **arguments: Any) -> str:
    """Give the step of a script that hands another script to a background Claude Code."""
    return call("DelegateTask", prompt=f"FAKE: {script}", **arguments)


def wakings(api: FakeApi) -> list[Request]:
    """Give the requests by which a session went on because something in the background had ended."""
    return [request for request in api.requests if "<task-notification>" in request.news]


def told(request: Request) -> str:
    """Give what came into the conversation, without the quoting of JSON in JSON."""
    return request.news.replace("\\", "")


def fill_in(terminal: Terminal, decision: str, message: str = "") -> None:
    """Fill in the form of a question, by keys, and send it."""
    terminal.press_until("Right", f"◯ {decision}")
    if decision == "deny":
        terminal.press_until("Down", f"{HERE} ◯ deny")
    terminal.press_until("Enter", f"✔ Decision: {decision}")
    if message:
        terminal.write(message)
    terminal.press_until("Down", f"{HERE} Accept")
    terminal.confirm("requests your input")


def server_pid(terminal: Terminal) -> int:
    """Give the pid of our server below a Claude Code."""
    children = psutil.Process(terminal.pid).children()
    (pid,) = [child.pid for child in children if "claudine_mcp" in child.cmdline()]
    return pid


def test_a_session_that_delegates_stays_usable_and_is_woken_with_the_result(
    claude_home: Home, claude: ClaudeCode, api: FakeApi
) -> None:
    register_claudine(claude, claude_home)
    inner = delegate(f"bash {GATE} | text the inner answer", wait=True, allowedTools=["Bash"])
    with Terminal(claude, *OPTIONS, prompt=f"FAKE: {inner} | text handed over", known=False) as terminal:
        terminal.wait_for("● handed over")
        terminal.say("FAKE: text still here | text so it has ended")
        terminal.wait_for("● still here")
        assert not wakings(api)
        (claude.work / "open").touch()
        terminal.wait_for("● so it has ended")
        assert terminal.leave() == 0

    (woken,) = wakings(api)
    assert '"outcome":"succeeded"' in told(woken)
    assert '"result":"the inner answer"' in told(woken)
    ((task_id, session),) = claude_home.query("SELECT id, session_id FROM tasks")
    assert f'"taskId":"{task_id}"' in told(woken)
    # Started inside a delegated run, nothing recurses: it has none of our tools.
    delegated = api.of_session(session)
    assert len(delegated) == 2
    assert not [request for request in delegated if "mcp__claudine" in json.dumps(request.body)]


def test_a_permission_is_asked_for_in_the_terminal_and_the_answer_reaches_the_run(
    claude_home: Home, claude: ClaudeCode, api: FakeApi
) -> None:
    register_claudine(claude, claude_home)
    inner = delegate("bash touch made | text the inner answer", wait=True, **MIGRATION)
    script = f"FAKE: {inner} | text handed over | text so it has ended"
    with Terminal(claude, *OPTIONS, prompt=script, known=False) as terminal:
        screen = terminal.wait_for("requests your input")
        assert "the migration (task" in screen
        assert "asks to use Bash:" in screen
        assert "command: touch made" in screen
        assert not (claude.work / "made").exists()
        fill_in(terminal, "allow")
        terminal.wait_for("● so it has ended")
        assert terminal.leave() == 0

    assert (claude.work / "made").exists()
    assert claude_home.query("SELECT outcome FROM tasks") == [("succeeded",)]
    (woken,) = wakings(api)
    assert '"result":"the inner answer"' in told(woken)


def test_a_form_that_is_put_aside_is_no_answer_and_another_answer_ends_it(
    claude_home: Home, claude: ClaudeCode, api: FakeApi
) -> None:
    register_claudine(claude, claude_home)
    inner = delegate("bash touch made | text the inner answer", wait=True, **MIGRATION)
    with Terminal(claude, *OPTIONS, prompt=f"FAKE: {inner} | text handed over", known=False) as terminal:
        terminal.wait_for("requests your input")
        terminal.press_until("Escape", "needs your input")
        ((alert,),) = claude_home.query(
            "SELECT json_extract(args, '$.alertId') FROM commands WHERE kind = 'ask' AND done_at IS NULL"
        )
        answer = call("AnswerAlert", alertId=alert, action="allow")
        terminal.say(f"FAKE: {answer} | text answered | text so it has ended")
        terminal.wait_for("● so it has ended")
        assert terminal.leave() == 0
    assert (claude.work / "made").exists()


def test_a_wait_for_events_wakes_a_session(claude_home: Home, claude: ClaudeCode, api: FakeApi) -> None:
    register_claudine(claude, claude_home)
    steps = (
        call("RunCommand", command=f"{GATE}; exit 3"),
        call("WaitForEvents", taskIds=["<<taskId>>"], until="ended"),
        "text waiting",
        "text so it has ended",
    )
    with Terminal(claude, *OPTIONS, prompt="FAKE: " + " | ".join(steps), known=False) as terminal:
        terminal.wait_for("● waiting")
        (claude.work / "open").touch()
        terminal.wait_for("● so it has ended")
        assert terminal.leave() == 0
    (woken,) = wakings(api)
    assert '"type":"task:ended"' in told(woken)
    assert '"exitCode":3' in told(woken)


def test_a_wait_that_is_stopped_ends_no_task(claude_home: Home, claude: ClaudeCode, api: FakeApi) -> None:
    register_claudine(claude, claude_home)
    script = f"FAKE: {call('RunCommand', command=GATE, wait=True)} | text waiting"
    with Terminal(claude, *OPTIONS, prompt=script, known=False) as terminal:
        terminal.wait_for("● waiting")
        background = api.requests[-1].news.partition("background as task ")[2].split()[0]
        terminal.say(f'FAKE: tool TaskStop {{"task_id": "{background}"}} | text stopped')
        terminal.wait_for("● stopped")
        assert terminal.leave() == 0
    wait_until(lambda: claude_home.query("SELECT state FROM tasks") == [("running",)])
    # So the model was told, whatever its client says of the stop.
    assert "a wait that is stopped" in json.dumps(api.requests[-1].body)
    (claude.work / "open").touch()
    wait_until(lambda: claude_home.query("SELECT outcome FROM tasks") == [("succeeded",)])


def test_a_wait_goes_on_when_its_server_was_killed_and_is_there_again(
    claude_home: Home, claude: ClaudeCode, api: FakeApi
) -> None:
    register_claudine(claude, claude_home)
    command = f"echo begun >> begun; {GATE}"
    script = f"FAKE: {call('RunCommand', command=command, wait=True)} | text waiting | text so it has ended"
    with Terminal(claude, *OPTIONS, prompt=script, known=False) as terminal:
        terminal.wait_for("● waiting")
        kill(server_pid(terminal))
        (claude.work / "open").touch()
        terminal.say("/mcp reconnect claudine")
        terminal.wait_for("● so it has ended")
        assert terminal.leave() == 0
    (woken,) = wakings(api)
    assert '"outcome":"succeeded"' in told(woken)
    assert claude_home.lines("begun") == ["begun"]


def test_a_wait_goes_on_in_a_session_that_is_resumed(
    claude_home: Home, claude: ClaudeCode, api: FakeApi
) -> None:
    register_claudine(claude, claude_home)
    session = ("--session-id", "5b0f9a52-30ac-4f0e-9e0b-3a4f8d7f6c11")
    script = f"FAKE: {call('RunCommand', command=GATE, wait=True)} | text waiting | text so it has ended"
    with Terminal(claude, *OPTIONS, *session, prompt=script, known=False) as terminal:
        terminal.wait_for("● waiting")
        terminal.wait_for("1 MCP task still running")  # the turn is over
        terminal.say("/exit")
        terminal.confirm("Background work is running")
        assert terminal.ended() == 0
    assert claude_home.query("SELECT outcome FROM tasks") == [(None,)]
    (claude.work / "open").touch()
    with Terminal(claude, *OPTIONS, "--resume", session[1], known=False) as terminal:
        terminal.wait_for("● so it has ended")
        assert terminal.leave() == 0
    (woken,) = wakings(api)
    assert '"outcome":"succeeded"' in told(woken)


# -- the handshake era --------------------------------------------------------------------------------------


def test_in_the_handshake_era_an_idle_user_is_asked_and_says_why_not(
    claude_home: Home, claude: ClaudeCode, api: FakeApi
) -> None:
    register_claudine(claude, claude_home, "--era", "legacy")
    inner = delegate("bash touch made | text the inner answer", **MIGRATION)
    with Terminal(claude, *OPTIONS, prompt=f"FAKE: {inner} | text handed over", known=False) as terminal:
        terminal.wait_for("● handed over")
        screen = terminal.wait_for("requests your input")
        assert "command: touch made" in screen
        fill_in(terminal, "deny", "use the other folder")
        wait_until(
            lambda: claude_home.query("SELECT outcome FROM tasks") == [("succeeded",)],
            60,
            "the delegated run has ended",
        )
        assert terminal.leave() == 0
    assert api.told("use the other folder")
    assert not (claude.work / "made").exists()


def test_in_the_handshake_era_a_form_is_withdrawn_when_the_question_is_answered(
    claude_home: Home, claude: ClaudeCode, api: FakeApi
) -> None:
    register_claudine(claude, claude_home, "--era", "legacy")
    inner = delegate("bash touch made | text the inner answer", **MIGRATION)
    with Terminal(claude, *OPTIONS, prompt=f"FAKE: {inner} | text handed over", known=False) as terminal:
        terminal.wait_for("requests your input")
        ((alert,),) = claude_home.query(
            "SELECT json_extract(args, '$.alertId') FROM commands WHERE kind = 'ask' AND done_at IS NULL"
        )
        answer = [sys.executable, "-P", "-m", "claudine_mcp", "answer", str(alert), "allow"]
        subprocess.run(answer, env=claude_home.env, cwd=claude.work, check=True, capture_output=True)
        wait_until(lambda: "requests your input" not in terminal.screen(), what="the form is gone")
        assert terminal.leave() == 0
    wait_until(lambda: claude_home.query("SELECT outcome FROM tasks") == [("succeeded",)], 60)
    assert (claude.work / "made").exists()


def test_in_the_handshake_era_a_call_that_lasts_wakes_a_session(
    claude_home: Home, claude: ClaudeCode, api: FakeApi
) -> None:
    register_claudine(claude, claude_home, "--era", "legacy")
    claude.env["CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS"] = "500"
    script = f"FAKE: {call('RunCommand', command=GATE, wait=True)} | text waiting | text so it has ended"
    with Terminal(claude, *OPTIONS, prompt=script, known=False) as terminal:
        terminal.wait_for("● waiting")
        (claude.work / "open").touch()
        terminal.wait_for("● so it has ended")
        assert terminal.leave() == 0
    (woken,) = wakings(api)
    assert '"outcome":"succeeded"' in told(woken)
