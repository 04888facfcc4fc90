"""What this project builds on in Claude Code, where it talks to a run: ``--input-format stream-json``."""

from __future__ import annotations

from uuid import uuid4

import pytest
from claude_code import ClaudeCode, Run
from fake_api import FakeApi
from support import wait_until

pytestmark = pytest.mark.claude

BASH = ("--allowedTools", "Bash")
GATE = "until test -e open; do sleep 0.02; done"
"""A command that lasts until the test makes the file ``open``."""

DELIVERED = ["queued", "started", "completed"]


def new_id() -> str:
    return str(uuid4())


def until_a_tool_is_called(run: Run) -> None:
    wait_until(
        lambda: any(line["message"]["content"][0]["type"] == "tool_use" for line in run.lines("assistant")),
        what="a call of a tool",
    )


def test_a_run_takes_a_message_after_each_turn_and_ends_with_its_input(
    claude: ClaudeCode, api: FakeApi
) -> None:
    session, first, second = new_id(), new_id(), new_id()
    run = claude.start(None, "--session-id", session)
    for n, message in enumerate((first, second), 1):
        run.say(f"FAKE: text answer {n}", uuid=message)
        result = run.wait_for("result", count=n)
        assert (result["result"], result["result_index"]) == (f"answer {n}", n - 1)
        assert result["user_message_uuids"] == [message]
        # The message's fate comes after the result.
        run.wait_for_fate(message, "completed")

    assert run.process.poll() is None
    assert run.finish() == 0
    assert [run.fate(message) for message in (first, second)] == [DELIVERED] * 2
    assert len(run.lines("system", "init")) == 2
    assert len(api.of_session(session)) == 2


def test_a_message_in_the_middle_of_a_turn_joins_it_with_the_tool_result(
    claude: ClaudeCode, api: FakeApi
) -> None:
    prompt, message = new_id(), new_id()
    run = claude.start(None, *BASH)
    run.say(f"FAKE: bash {GATE} | text done", uuid=prompt)
    until_a_tool_is_called(run)
    run.say("think of the umlauts", uuid=message)
    run.wait_for_fate(message, "queued")
    (claude.work / "open").touch()

    assert run.wait_for("result")["user_message_uuids"] == [prompt, message]
    assert run.finish() == 0
    assert run.fate(message) == DELIVERED
    assert len(run.lines("result")) == 1
    assert (
        "The user sent a new message while you were working:\\nthink of the umlauts" in api.requests[-1].news
    )


def test_a_message_during_the_last_answer_gets_a_turn_of_its_own(claude: ClaudeCode, api: FakeApi) -> None:
    prompt, message = new_id(), new_id()
    run = claude.start(None)
    run.say("FAKE: slow 1 | text the first", uuid=prompt)
    wait_until(lambda: api.requests, what="a request")
    run.say("FAKE: text the second", uuid=message)
    # What is queued when the input ends is still done.
    assert run.finish() == 0

    assert [result["result"] for result in run.lines("result")] == ["the first", "the second"]
    assert run.fate(message) == DELIVERED


def test_a_message_is_taken_once_however_often_it_is_sent(claude: ClaudeCode, api: FakeApi) -> None:
    session, message = new_id(), new_id()
    run = claude.start(None, "--session-id", session)
    for _ in range(2):
        run.say("FAKE: text once", uuid=message)
    run.wait_for_fate(message, "completed")
    run.say("FAKE: text once", uuid=message)
    assert run.finish() == 0
    assert (run.fate(message), len(run.lines("result"))) == (DELIVERED, 1)

    run = claude.start(None, "--resume", session)
    run.say("FAKE: text once", uuid=message)
    assert run.finish() == 0
    assert run.kinds() == ["command_lifecycle"]
    assert run.fate(message) == ["completed"]
    assert len(api.requests) == 1


def test_a_replay_has_the_messages_own_id(claude: ClaudeCode) -> None:
    message = new_id()
    run = claude.start(None, "--replay-user-messages")
    run.say("FAKE: text hello", uuid=message)
    assert run.finish() == 0

    (replay,) = run.lines("user")
    assert (replay["uuid"], replay["isReplay"]) == (message, True)
    assert replay["message"] == {"role": "user", "content": "FAKE: text hello"}


def test_an_interrupt_ends_the_turn_and_what_is_queued_comes_next(claude: ClaudeCode) -> None:
    prompt, message = new_id(), new_id()
    run = claude.start(None, *BASH)
    run.say(f"FAKE: bash {GATE} | text done", uuid=prompt)
    until_a_tool_is_called(run)
    run.say("FAKE: text something else", uuid=message)
    run.wait_for_fate(message, "queued")

    assert run.control("r1", "interrupt")["response"]["still_queued"] == [message]
    first, second = run.wait_for("result"), run.wait_for("result", count=2)
    assert (first["subtype"], first["is_error"]) == ("error_during_execution", True)
    assert first["terminal_reason"] == "aborted_tools"
    assert second["result"] == "something else"
    assert run.finish() == 0
    assert run.fate(prompt) == ["queued", "started", "cancelled"]
    assert run.fate(message) == DELIVERED


def test_an_urgent_message_stops_the_turn_with_a_result_that_looks_like_success(claude: ClaudeCode) -> None:
    prompt, message = new_id(), new_id()
    run = claude.start(None, *BASH)
    run.say(f"FAKE: bash {GATE} | text done", uuid=prompt)
    until_a_tool_is_called(run)
    run.say("FAKE: text at once", uuid=message, priority="now")
    run.wait_for_fate(message, "queued")
    (claude.work / "open").touch()  # a command of the shell that has begun is waited for

    first, second = run.wait_for("result"), run.wait_for("result", count=2)
    assert (first["subtype"], first["is_error"], first["result"]) == ("success", False, "")
    assert first["terminal_reason"] == "aborted_tools"
    assert second["result"] == "at once"
    assert run.finish() == 0
    assert run.fate(prompt) == ["queued", "started", "cancelled"]


def test_a_queued_message_can_be_taken_back(claude: ClaudeCode, api: FakeApi) -> None:
    message = new_id()
    run = claude.start(None, *BASH)
    run.say(f"FAKE: bash {GATE} | text done")
    until_a_tool_is_called(run)
    run.say("never mind", uuid=message)
    taken_back = run.control("c1", "cancel_async_message", message_uuid=message)
    again = run.control("c2", "cancel_async_message", message_uuid=message)
    (claude.work / "open").touch()

    assert taken_back["response"] == {"cancelled": True, "message_uuid": message}
    assert again["response"] == {"cancelled": False}
    assert run.finish() == 0
    assert run.fate(message) == ["queued", "cancelled"]
    assert not api.told("never mind")


def test_a_permission_is_asked_for_and_given_in_the_stream(claude: ClaudeCode) -> None:
    run = claude.start(None, "--permission-prompt-tool", "stdio")
    run.say("FAKE: bash touch file | bash touch other | text done")
    for n, decision in enumerate(("allow", "deny"), 1):
        question = run.wait_for("control_request", count=n)
        asked = question["request"]
        assert (asked["subtype"], asked["tool_name"]) == ("can_use_tool", "Bash")
        more = {"updatedInput": asked["input"]} if decision == "allow" else {"message": "the test says no"}
        run.answer(question, {"behavior": decision, **more})

    run.wait_for("result")
    assert run.finish() == 0
    assert [path.name for path in claude.work.iterdir()] == ["file"]
    assert [denial["tool_input"]["command"] for denial in run.result["permission_denials"]] == ["touch other"]


def test_a_session_ends_when_it_is_asked_to(claude: ClaudeCode) -> None:
    prompt, message = new_id(), new_id()
    run = claude.start(None, *BASH)
    run.say(f"FAKE: bash {GATE} | text done", uuid=prompt)
    until_a_tool_is_called(run)
    run.say("too late", uuid=message)
    run.wait_for_fate(message, "queued")

    assert run.control("e1", "end_session")["subtype"] == "success"
    assert run.wait() == 1
    assert run.result["terminal_reason"] == "aborted_tools"
    assert run.fate(message) == ["queued", "discarded"]


def test_the_most_turns_are_counted_anew_for_each_message(claude: ClaudeCode) -> None:
    run = claude.start(None, "--max-turns", "1", *BASH)
    run.say("FAKE: bash true | text done")
    assert run.wait_for("result")["terminal_reason"] == "max_turns"
    run.say("FAKE: text done")
    assert run.wait_for("result", count=2)["terminal_reason"] == "completed"
    assert run.finish() == 0


def test_a_background_command_keeps_a_run_after_its_input_has_ended(claude: ClaudeCode) -> None:
    run = claude.start(None, *BASH)
    run.say(f"FAKE: background {GATE} | text waiting | text woken")
    run.wait_for("result")
    run.close()
    (claude.work / "open").touch()

    assert run.wait() == 0
    assert [result["result"] for result in run.lines("result")] == ["waiting", "woken"]
    assert run.lines("system", "task_notification")[0]["status"] == "completed"


def test_a_line_that_is_not_json_ends_the_run_and_its_turn(claude: ClaudeCode) -> None:
    run = claude.start(None, *BASH)
    run.say("FAKE: hang")
    run.wait_for("system", "init")
    assert run.process.stdin is not None
    run.process.stdin.write(b'{"type": "us\n')
    run.process.stdin.flush()

    assert run.wait() == 1
    assert run.lines("result") == []
    assert run.errors.startswith("Error parsing streaming input line")
