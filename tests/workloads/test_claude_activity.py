"""What the rules are told of a run of Claude Code."""

from __future__ import annotations

from claudine_mcp.core.activity import RunningTool
from claudine_mcp.workloads.claude_activity import activity
from claudine_mcp.workloads.claude_state import Job, Phase, Retry, StreamState, Todo, ToolCall


def test_a_run_that_has_printed_nothing_is_starting() -> None:
    assert activity(StreamState()).phase == "starting"
    assert activity(StreamState()).active_at is None


def test_the_tool_that_runs_and_what_is_asked_are_told() -> None:
    state = StreamState(phase=Phase.TOOL, phase_since=5.0, active_at=6.0, last_tool="Bash (make)")
    state.tools = {
        "a": ToolCall("a", "Bash", "make", 5.5),
        "b": ToolCall("b", "Read", "x", 5.7, parent_id="a"),
    }
    state.recent_calls = ["1", "2"]
    told = activity(state, permission="Bash (make)")
    assert told.tools == (RunningTool("Bash (make)", 5.5),)
    assert (told.phase, told.since, told.active_at, told.permission) == ("tool", 5.0, 6.0, "Bash (make)")
    assert told.calls == ("1", "2")
    assert told.has_pulse


def test_a_retry_and_what_goes_on_behind_are_told() -> None:
    state = StreamState(phase=Phase.RETRYING, retry=Retry(3, 10, 99.0, 529, "overloaded", 50.0))
    state.jobs = {"j": Job("j", "shell", "npm run dev", is_background=True, since=1.0)}
    told = activity(state)
    assert (told.attempt, told.attempts, told.error, told.until) == (3, 10, "overloaded", 99.0)
    assert told.background == ("npm run dev",)


def test_its_list_is_its_stage_and_its_progress() -> None:
    state = StreamState(
        todos=[Todo("a", "completed"), Todo("b", "in_progress", "doing b"), Todo("c", "pending")]
    )
    assert activity(state).stage == "doing b"
    assert round(activity(state).progress or 0) == 33
