from __future__ import annotations

from typing import Any

import pytest
from claude_recordings import (
    AT,
    INIT,
    RESULT,
    answers,
    asks,
    call,
    known,
    line,
    read,
    states,
    system,
)

from claudine_mcp.workloads.claude_state import (
    MAX_CALLS,
    MAX_TOOLS,
    Phase,
    StreamState,
)
from claudine_mcp.workloads.claude_stream import StreamReader

TEXT = {"type": "text", "text": "hello"}
STREAM_EVENT = {"type": "stream_event", "event": {"type": "content_block_delta"}}
RETRY = system(
    "api_retry", attempt=3, max_retries=10, retry_delay_ms=2500, error_status=529, error="overloaded"
)
REJECTED = {
    "type": "rate_limit_event",
    "rate_limit_info": {"status": "rejected", "resetsAt": 1_800_000_000, "rateLimitType": "five_hour"},
}


def phases(name: str) -> list[str]:
    """The phases that a recorded run went through, each once in a row."""
    seen: list[str] = []
    for _, state in states(name):
        if [state.phase] != seen[-1:]:
            seen.append(state.phase)
    return seen


# -- phases -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain-success", ["model", "result"]),
        ("tool-bash-success", ["model", "tool", "model", "result"]),
        ("api-500-ten-retries", ["model", "retrying", "model", "result"]),
        ("api-429-retry-after-3s", ["model", "rate_limited", "model", "result"]),
        ("api-401-killed-while-retrying", ["model", "retrying"]),
        (
            "background-bash-second-result",
            ["model", "tool", "model", "background", "result", "model", "result"],
        ),
        ("sigkill-mid-bash", ["model", "tool"]),
        ("resume-unknown-session", ["result"]),
        ("max-turns", ["model", "tool", "model", "result"]),
    ],
)
def test_a_recorded_run_went_through_these_phases(name: str, expected: list[str]) -> None:
    assert phases(name) == expected


def test_nothing_printed_is_the_start() -> None:
    assert StreamState().phase is Phase.STARTING
    assert read(b"").phase_since is None


def test_a_phase_knows_since_when_it_is_and_a_tool_since_when_it_runs() -> None:
    state = known(INIT, at=1.0)
    assert (state.phase, state.phase_since) == (Phase.MODEL, 1.0)
    known(asks(TEXT), before=state, at=2.0)
    assert (state.phase, state.phase_since) == (Phase.MODEL, 1.0)
    known(asks(call("t1", "Bash", command="make")), before=state, at=3.0)
    known(asks(call("t2", "Read", file_path="/a")), before=state, at=4.0)
    assert (state.phase, state.phase_since) == (Phase.TOOL, 3.0)
    assert [(tool.label, tool.since) for tool in state.running_tools] == [
        ("Bash (make)", 3.0),
        ("Read (/a)", 4.0),
    ]


def test_a_retry_says_of_how_many_until_when_and_why() -> None:
    state = known(INIT, RETRY)
    assert state.retry is not None
    assert (state.phase, state.phase_until) == (Phase.RETRYING, AT + 2.5)
    assert (state.retry.attempt, state.retry.max_retries, state.retry.error_status) == (3, 10, 529)


@pytest.mark.parametrize("said", [asks(TEXT), answers("t9"), INIT, STREAM_EVENT, system("thinking_tokens")])
def test_a_retry_is_over_once_the_model_is_heard_of(said: dict[str, Any]) -> None:
    assert known(INIT, RETRY, said).phase is Phase.MODEL


def test_a_retry_that_never_got_an_answer_has_no_status() -> None:
    state = next(state for _, state in states("network-refused") if state.retry)
    assert state.retry is not None
    assert (state.retry.error_status, state.retry.is_for_limit) == (None, False)


@pytest.mark.parametrize(("delay_ms", "until"), [(None, AT), (-5, AT), ("x", AT), (10**15, AT + 30 * 86_400)])
def test_an_unbelievable_delay_is_not_believed(delay_ms: Any, until: float) -> None:
    assert known(INIT, {**RETRY, "retry_delay_ms": delay_ms}).phase_until == until


def test_a_limit_holds_until_the_model_answers_or_it_is_lifted() -> None:
    state = known(INIT, REJECTED)
    assert (state.phase, state.phase_until) == (Phase.RATE_LIMITED, 1_800_000_000)
    lifted = {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed_warning"}}
    assert known(INIT, REJECTED, lifted).phase is Phase.MODEL
    assert known(INIT, REJECTED, asks(TEXT)).phase is Phase.MODEL
    error = {**asks(TEXT), "is_api_error_message": True}
    assert known(INIT, REJECTED, error).phase is Phase.RATE_LIMITED


def test_a_limit_that_is_passed_by_paying_more_is_none() -> None:
    info = {**REJECTED["rate_limit_info"], "isUsingOverage": True}
    assert known(INIT, {**REJECTED, "rate_limit_info": info}).phase is Phase.MODEL


@pytest.mark.parametrize("resets_at", [None, "soon", -1, 10**15, True])
def test_a_reset_at_an_impossible_time_is_unknown(resets_at: Any) -> None:
    info = {**REJECTED["rate_limit_info"], "resetsAt": resets_at}
    state = known(INIT, {**REJECTED, "rate_limit_info": info})
    assert (state.phase, state.phase_until) == (Phase.RATE_LIMITED, None)


def test_a_heartbeat_of_a_tool_shows_no_progress() -> None:
    state = known(INIT, asks(call("t1", "Bash", command="make")), at=1.0)
    beat = {"type": "tool_progress", "tool_use_id": "t1", "elapsed_time_seconds": 30, "heartbeat": True}
    known(beat, RETRY, before=state, at=31.0)
    assert (state.active_at, state.read_at) == (1.0, 31.0)
    known(answers("t1"), before=state, at=32.0)
    assert state.active_at == 32.0


def test_a_subagent_that_waits_for_the_api_makes_its_run_wait() -> None:
    retry: dict[str, Any] = {"attempt": 2, "max_retries": 10, "retry_delay_ms": 1000, "error_status": 529}
    progress = {
        "type": "tool_progress",
        "tool_use_id": "t1",
        "subagent_retry": {**retry, "error_category": "overloaded"},
    }
    state = known(INIT, asks(call("t1", "Agent", description="look")), progress)
    assert (state.phase, state.phase_until) == (Phase.RETRYING, AT + 1)
    assert known(INIT, RESULT, progress).phase is Phase.RESULT


def test_pieces_of_an_answer_open_a_turn_without_being_parsed() -> None:
    reader = StreamReader()
    reader.feed(line(INIT) + line(RESULT) + b'{"type": "stream_event", not JSON at all }\n', AT)
    assert (reader.state.phase, reader.state.unreadable_lines) == (Phase.MODEL, 0)


# -- tools ------------------------------------------------------------------------------------------------


def test_tools_that_run_side_by_side_end_one_by_one() -> None:
    three = asks(call("t1", "Bash"), call("t2", "Bash"), call("t3", "Read"))
    state = known(INIT, three, answers("t2"), answers("t3"))
    assert [tool.id for tool in state.running_tools] == ["t1"]
    assert known(answers("t1"), before=state).phase is Phase.MODEL


def test_an_answer_between_two_blocks_of_a_message_leaves_the_other_tool_running() -> None:
    state = known(INIT, asks(call("t1", "Bash")), answers("t1"), asks(call("t2", "Bash")))
    assert [tool.id for tool in state.running_tools] == ["t2"]


def test_a_new_message_of_the_model_means_that_its_tools_have_answered() -> None:
    state = known(INIT, asks(call("t1", "Bash")), asks(TEXT, message_id="msg_2"))
    assert (state.phase, state.tools, state.turns) == (Phase.MODEL, {}, 2)


def test_what_a_subagent_runs_is_not_what_the_conversation_waits_for() -> None:
    agent = asks(call("t1", "Agent", description="look around"))
    inner = asks(call("t2", "Bash", command="ls"), message_id="msg_2", parent="t1")
    state = known(INIT, agent, inner)
    assert [tool.label for tool in state.running_tools] == ["Agent (look around)"]
    assert [tool.label for tool in state.tools.values()] == ["Agent (look around)", "Bash (ls)"]
    assert (state.turns, known(answers("t1"), before=state).tools) == (1, {})


def test_a_subagent_in_the_background_does_not_open_a_turn() -> None:
    inner = asks(call("t2", "Bash", command="ls"), message_id="msg_2", parent="t1")
    job = system(
        "task_started", task_id="j1", task_type="local_agent", description="look", is_backgrounded=True
    )
    state = known(INIT, job, RESULT, inner, answers("t2", parent="t1"))
    assert (state.phase, state.is_turn_open) == (Phase.BACKGROUND, False)


def test_only_so_many_tools_are_kept() -> None:
    state = known(INIT, asks(*[call(f"t{n}", "Bash", command=str(n)) for n in range(100)]))
    assert len(state.tools) == MAX_TOOLS
    assert len(state.recent_calls) == MAX_CALLS
    assert state.running_tools[-1].label == "Bash (99)"


def test_the_same_call_is_known_again_by_its_tool_and_its_input() -> None:
    again = [asks(call(f"t{n}", "Bash", command="make", timeout=1), message_id=f"m{n}") for n in range(4)]
    assert len(set(known(INIT, *again).recent_calls)) == 1
    assert len(set(known(INIT, *again, asks(call("x", "Bash", timeout=1, command="make"))).recent_calls)) == 1
    assert len(set(known(INIT, *again, asks(call("x", "Bash", command="make it"))).recent_calls)) == 2


@pytest.mark.parametrize("tool", ["BashOutput", "TaskOutput", "mcp__claudine__TaskStatus"])
def test_a_look_at_what_goes_on_elsewhere_is_no_repeated_call(tool: str) -> None:
    looks = [asks(call(f"t{n}", tool, id="b1"), message_id=f"m{n}") for n in range(4)]
    state = known(INIT, *looks)
    assert state.recent_calls == []
    assert state.last_tool.startswith(tool)


@pytest.mark.parametrize(
    ("name", "tool_input", "label"),
    [
        ("Bash", {"command": "sleep 2;\n  echo hi", "description": "Run it"}, "Bash (sleep 2; echo hi)"),
        ("Read", {"file_path": "/a/b", "limit": 3}, "Read (/a/b)"),
        ("Grep", {"pattern": "x+", "path": "/a"}, "Grep (/a)"),
        ("mcp__sdk__slow", {"n": 3, "gap": 0.5, "on": True}, "mcp__sdk__slow (n=3, gap=0.5, on=true)"),
        ("mcp__x__y", {"items": [1, 2], "to": "me"}, "mcp__x__y (items=…, to=me)"),
        ("TodoWrite", {"todos": [1, 2, 3]}, "TodoWrite (3 items)"),
        ("TaskList", {}, "TaskList"),
        ("TaskList", None, "TaskList"),
        ("Bash", {"command": "rm -r /\x1b[2K\x00"}, "Bash (rm -r /\\x1b[2K\\x00)"),
        ("Odd", {"n": 10**300}, "Odd (n=…)"),
        ("Odd\x1b[2J\n", {}, "Odd\\x1b[2J"),
    ],
)
def test_a_call_is_told_in_one_safe_line(name: str, tool_input: Any, label: str) -> None:
    block = {"type": "tool_use", "id": "t1", "name": name, "input": tool_input}
    assert known(asks(block)).last_tool == label


def test_a_long_command_is_shortened() -> None:
    state = known(asks(call("t1", "Bash", command="x" * 100_000)))
    assert state.running_tools[0].summary == f"{'x' * 118} …"
