from __future__ import annotations

from typing import Any

import pytest
from claude_recordings import INIT, RESULT, RUNS, answers, asks, call, is_safe, line, recorded, system

from claudine_mcp.workloads.claude_text import conversation


def told(*messages: dict[str, Any]) -> list[str]:
    return list(conversation(map(line, messages)))


def told_by(name: str) -> list[str]:
    return list(conversation(recorded(name).splitlines(keepends=True)))


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "tool-bash-success",
            ["⏺ I will run a command.", "⏺ Bash(sleep 2; echo hi)", "  ⎿ hi", "⏺ finished"],
        ),
        ("partial-messages", ["⏺ hello partial world"]),
        (
            "sigterm-mid-bash",
            [
                "⏺ I will run a command.",
                "⏺ Bash(/home/dev/other/slp.sh 302 t2)",
                "  ⎿ ✘ Exit code 137 (2 lines)",
            ],
        ),
        (
            "api-529-twice-then-success",
            [
                "↻ the API answered 529 (overloaded): retry 1 of 10 in 569 ms",
                "↻ the API answered 529 (overloaded): retry 2 of 10 in 1.1 s",
                "⏺ recovered after 2 errors",
            ],
        ),
        (
            "mcp-tool-call",
            ["⏺ mcp__sdk__echo(text=x)", '  ⎿ {"result":"echo: x"}', "⏺ mcp__sdk__slow(n=3, gap=0.5)"],
        ),
    ],
)
def test_a_recorded_run_reads_like_this(name: str, expected: list[str]) -> None:
    first, *lines = told_by(name)
    assert first.startswith(
        "● Claude Code 2.1.328, claude-opus-5-5, in /home/dev/project, permissions: default"
    )
    assert lines[: len(expected)] == expected


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("plain-success", "■ done (1 turn, 204 ms, $0.0053)"),
        ("fork-with-own-session-id", "■ done (1 turn, 98 ms, $0.0053)"),
        ("permission-prompt-tool", "■ done (3 turns, 246 ms, $0.0159, 1 not permitted)"),
        ("max-turns", "■ failed: max turns (1) reached (2 turns, 213 ms, $0.0053)"),
        (
            "api-529-gives-up",
            "■ failed: the API answered 529 (overloaded) and Claude Code gave up after 2 retries (1",
        ),
        (
            "resume-unknown-session",
            "■ failed: the session 99999999-aaaa-4bbb-8ccc-000000000001 does not exist",
        ),
        (
            "sigint-mid-bash",
            "■ failed: it was interrupted while it ran Bash (/home/dev/other/slp.sh 301 t1) (3 tur",
        ),
    ],
)
def test_a_turn_ends_with_how_it_ended(name: str, last: str) -> None:
    assert told_by(name)[-1].startswith(last)


def test_a_session_that_begins_another_turn_is_not_introduced_again() -> None:
    lines = told_by("stream-json-input-interrupt")
    assert sum(each.startswith("●") for each in lines) == 1
    assert [each for each in lines if each.startswith("> ")][:2] == [
        "> FAKE: text one",
        "> FAKE: slow 30 0.5",
    ]


def test_a_refused_tool_is_told_with_the_reason() -> None:
    lines = told_by("tool-permission-denied")
    refusal = "⊘ not permitted: Bash (touch /home/dev/other/out/denied1): touch in '/home/dev/other/out/denied1' needs"
    assert any(each.startswith(refusal) for each in lines)


def test_work_in_the_background_is_told_when_it_begins_and_ends() -> None:
    assert [each for each in told_by("background-bash-second-result") if each.startswith("⚙")] == [
        "⚙ in the background: Run /home/dev/other/slp.sh 3 bg3",
        '⚙ completed in the background: Background command "Run /home/dev/other/slp.sh 3 bg3" completed (exit code 0)',
    ]


def test_what_a_subagent_does_is_set_in_from_the_margin() -> None:
    lines = told_by("tasks-and-subagent")
    start = lines.index("⏺ Agent(sub work)")
    assert lines[start + 1 : start + 4] == [
        "  │ > SUBPROMPT do it",
        "  │ ⏺ Bash(echo sub; sleep 1)",
        "  │   ⎿ sub",
    ]
    assert not any(each.startswith("⚙") for each in lines)


def test_answers_of_tools_that_were_called_together_name_their_tool() -> None:
    lines = told_by("tasks-and-subagent")
    assert "  ⎿ Bash (echo one; sleep 1): one" in lines
    assert "  ⎿ Bash (sleep 3; echo two): two" in lines


def test_a_text_of_several_lines_keeps_them_below_its_first() -> None:
    assert told(asks(text("one\n\n    two\r\nthree\n\n"))) == ["⏺ one", "", "      two", "  three"]


def test_thoughts_take_one_line() -> None:
    assert told(asks({"type": "thinking", "thinking": "hm\nhm"})) == ["✻ hm hm"]


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("", "(no output)"),
        (None, "(no output)"),
        ("one", "one"),
        ("one\n", "one"),
        ("\n one\ntwo\nthree", "one (3 lines)"),
        ("\x1b[32mgreen\x1b[0m", "green"),
        ([text("one"), text("two")], "one (2 lines)"),
        ([{"type": "image", "source": {}}], "[image]"),
        ([None], "[?]"),
        ({"text": "x"}, "(no output)"),
    ],
)
def test_of_an_answer_its_first_line_is_told(content: Any, shown: str) -> None:
    assert told(answers("t1", content)) == [f"  ⎿ {shown}"]


def test_a_long_answer_is_shortened() -> None:
    (shown,) = told(answers("t1", "x" * 1_000_000))
    assert shown.endswith("xxx …")
    assert len(shown) < 200


def test_a_long_prompt_is_cut() -> None:
    prompt = {"type": "user", "message": {"content": "\n".join(map(str, range(100)))}}
    lines = told(prompt)
    assert lines[0] == "> 0"
    assert lines[-1] == "  … (90 more lines)"
    assert len(lines) == 11


def test_other_notices_are_told() -> None:
    info = {"status": "rejected", "resetsAt": 1_800_000_000, "rateLimitType": "five_hour"}
    assert told(
        system("status", status="compacting"),
        system("informational", content="a hook says hello"),
        {"type": "rate_limit_event", "rate_limit_info": info},
        {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}},
    ) == [
        "◌ compacting the conversation",
        "◌ a hook says hello",
        "◷ the usage limit five_hour is reached (the limit resets at 2027-01-15T08:00:00.000Z)",
    ]


def test_what_only_programs_need_is_left_out() -> None:
    quiet = [
        {"type": "stream_event", "event": {}},
        {"type": "control_response", "response": {}},
        {"type": "tool_progress", "heartbeat": True},
        {"type": "something_new"},
        system("background_tasks_changed", tasks=[]),
        system("task_started", task_id="j", is_backgrounded=False, description="x"),
        system("task_notification", task_id="j", status="completed", summary="x"),
    ]
    assert told(*quiet) == []


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"(node:1) Warning: something old\n", ["(node:1) Warning: something old"]),
        (b'{"type":"assistant","mess', ["[25 bytes that could not be read]"]),
        (b"\xff\xfe", ["\\xff\\xfe"]),
        (b"\x1b[2J\x1b[31mred", ["red"]),
        (b"", []),
        (b"\0\0\0\n", []),
        (b"[1]", ["[1]"]),
    ],
)
def test_a_line_that_is_no_message_is_shown_as_far_as_it_can_be(raw: bytes, shown: list[str]) -> None:
    assert list(conversation([raw])) == shown


def test_nothing_that_is_told_can_act_on_a_terminal() -> None:
    evil = "\x1b]0;title\x07\x1b[2J\r\x9b31m\u202etext\ud800\x00"
    lines = told(
        {**INIT, "session_id": evil, "model": evil, "cwd": evil},
        asks(text(evil), {"type": "thinking", "thinking": evil}, call("t1", evil, command=evil)),
        answers("t1", evil),
        {"type": "user", "message": {"content": evil}},
        system("permission_denied", tool_name=evil, message=evil),
        system("task_notification", task_id="j", status=evil, summary=evil),
        {**RESULT, "is_error": True, "result": evil, "terminal_reason": evil},
        {**RESULT, "subtype": "error_max_turns", "errors": [f"({evil})"]},
    )
    assert len(lines) == 10
    assert all(map(is_safe, lines))


@pytest.mark.parametrize("name", RUNS)
def test_a_recording_can_be_told_from_any_line_on(name: str) -> None:
    lines = recorded(name).splitlines()
    for start in range(len(lines)):
        assert all(map(is_safe, conversation(lines[start:])))
