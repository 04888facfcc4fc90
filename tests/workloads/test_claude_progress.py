"""How far a Claude Code is, by recordings of the real one and by what it might say."""

from __future__ import annotations

import pytest
from claude_recordings import INIT, RESULT, asks, call, known, states, system

from claudine_mcp.core.progress.model import Progress
from claudine_mcp.workloads.claude_progress import progress_of
from claudine_mcp.workloads.claude_state import Phase, StreamState, Todo

ANSWER = asks({"type": "text", "text": "thinking"})


def plan(*items: tuple[str, str]) -> StreamState:
    state = known(INIT, ANSWER)
    state.todos = [Todo(text, status, f"{text}ing") for text, status in items]
    return state


def test_a_list_tells_how_far_it_is_and_what_is_being_done() -> None:
    state = plan(("read", "completed"), ("test", "in_progress"), ("write", "pending"))
    assert progress_of(state, None) == Progress("todos", 33.3, done=1.0, total=3.0, phase="testing")


def test_a_list_that_is_done_says_nothing_of_the_rest() -> None:
    progress = progress_of(plan(("read", "completed"), ("test", "completed")), 10)
    assert progress == Progress("todos", 100.0, done=2.0, total=2.0, is_of_phase=True)


def test_without_a_list_the_tool_is_what_it_does() -> None:
    state = known(INIT, asks(call("t1", "Bash", command="make test")))
    assert progress_of(state, None) == Progress("activity", phase="Bash (make test)")


def test_turns_are_told_against_those_that_it_may_take() -> None:
    state = known(INIT, ANSWER)
    assert progress_of(state, 8) == Progress(
        "turns", 12.5, done=1.0, total=8.0, phase="waiting for the model"
    )


def test_after_a_result_its_turns_are_those_of_several_messages() -> None:
    state = known(INIT, ANSWER, RESULT, asks({"type": "text", "text": "more"}, message_id="msg_2"))
    assert progress_of(state, 8) == Progress("activity", phase="waiting for the model")


def test_nothing_is_said_before_the_beginning_and_the_last_tool_is_past_after_the_result() -> None:
    assert progress_of(StreamState(), 8) is None
    assert progress_of(known(INIT, ANSWER, RESULT), 8) == Progress("activity", phase="has answered")


def test_each_phase_has_words_or_needs_none() -> None:
    for phase in Phase:
        state = StreamState(phase=phase)
        progress = progress_of(state, None)
        assert (progress is None) == (phase is Phase.STARTING)


def test_what_claude_writes_is_one_safe_line() -> None:
    state = plan(("x", "in_progress"))
    state.todos[0].active_text = "two\nlines \x1b[31m" + "y" * 500
    progress = progress_of(state, None)
    assert progress is not None
    assert progress.phase is not None
    assert progress.phase.startswith("two lines \\x1b[31m")
    assert len(progress.phase) == 80


def test_a_retry_is_what_it_does() -> None:
    state = known(
        INIT,
        system(
            "api_retry", attempt=2, max_retries=10, retry_delay_ms=1000, error_status=529, error="overloaded"
        ),
    )
    progress = progress_of(state, None)
    assert progress is not None
    assert progress.phase == "waiting to ask the API again"


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("todo-list", Progress("todos", 50.0, done=1.0, total=2.0, phase="doing b")),
        ("tasks-and-subagent", Progress("todos", 0.0, done=0.0, total=2.0, phase="Fixing bug")),
    ],
)
def test_the_lists_of_recorded_runs_are_understood(name: str, last: Progress) -> None:
    told = [progress_of(state, None) for _, state in states(name)]
    assert [item for item in told if item is not None and item.source == "todos"][-1] == last
