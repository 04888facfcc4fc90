from __future__ import annotations

from typing import Any

import pytest
from claude_recordings import (
    INIT,
    RESULT,
    RUNS,
    answers,
    asks,
    call,
    known,
    read,
    recorded,
    states,
    system,
)

from claudine_mcp.workloads.claude_state import MAX_DENIALS, MAX_TODOS, Phase, StreamState


def spent(name: str, *, before: float = 0.0) -> float | None:
    return read(recorded(name), state=StreamState(cost_before_usd=before)).run_cost_usd


# -- the plan ---------------------------------------------------------------------------------------------


def test_a_recorded_task_list_is_the_plan() -> None:
    todos = read(recorded("tasks-and-subagent")).todos
    assert [(todo.id, todo.text, todo.status, todo.active_text) for todo in todos] == [
        ("1", "Fix bug", "in_progress", "Fixing bug"),
        ("2", "Run tests", "pending", ""),
    ]


def test_a_recorded_to_do_list_is_the_plan() -> None:
    todos = read(recorded("todo-list")).todos
    assert [(todo.text, todo.status) for todo in todos] == [("a", "completed"), ("b", "in_progress")]


def todo_write(call_id: str, *texts: str) -> dict[str, Any]:
    return call(call_id, "TodoWrite", todos=[{"content": text, "status": "pending"} for text in texts])


def texts(state: StreamState) -> list[str]:
    return [todo.text for todo in state.todos]


def test_a_plan_changes_when_its_tool_has_succeeded() -> None:
    assert texts(known(INIT, asks(todo_write("t1", "a")))) == []
    assert texts(known(INIT, asks(todo_write("t1", "a")), answers("t1", error=True))) == []
    assert texts(known(INIT, asks(todo_write("t1", "a")), answers("t1"))) == ["a"]


def test_a_to_do_list_is_replaced_as_a_whole_and_that_of_a_subagent_is_its_own() -> None:
    state = known(
        INIT, asks(todo_write("t1", "a", "b")), answers("t1"), asks(todo_write("t2", "c")), answers("t2")
    )
    assert texts(state) == ["c"]
    known(asks(todo_write("t3", "x"), parent="t0"), answers("t3", parent="t0"), before=state)
    assert texts(state) == ["c"]


def test_tasks_are_created_changed_and_deleted() -> None:
    created = {"task": {"id": "7", "subject": "Fix it"}}
    state = known(
        INIT, asks(call("t1", "TaskCreate", subject="Fix it")), answers("t1", tool_use_result=created)
    )
    known(asks(call("t2", "TaskUpdate", taskId="7", status="completed")), answers("t2"), before=state)
    assert [(todo.id, todo.text, todo.status) for todo in state.todos] == [("7", "Fix it", "completed")]
    known(asks(call("t3", "TaskUpdate", taskId="7", status="deleted")), answers("t3"), before=state)
    assert state.todos == []


def test_the_number_of_a_task_is_read_from_what_the_model_was_told_where_nothing_else_says_it() -> None:
    told = [{"type": "text", "text": "Task #12 created successfully: Fix it"}]
    state = known(INIT, asks(call("t1", "TaskCreate", subject="Fix it")), answers("t1", told))
    assert [todo.id for todo in state.todos] == ["12"]


def test_a_task_that_an_earlier_run_has_created_is_known_by_its_number() -> None:
    said = [asks(call("t1", "TaskUpdate", taskId=3, status="in_progress")), answers("t1")]
    assert [(todo.id, todo.text, todo.status) for todo in known(INIT, *said).todos] == [
        ("3", "task 3", "in_progress")
    ]
    failed = answers("t1", tool_use_result={"success": False, "error": "Task not found"})
    assert known(INIT, said[0], failed).todos == []


def test_a_listing_is_the_whole_list() -> None:
    tasks = [
        {"id": "1", "subject": "a", "status": "completed"},
        {"id": "2", "subject": "b", "status": "pending"},
    ]
    state = known(INIT, asks(call("t1", "TaskList")), answers("t1", tool_use_result={"tasks": tasks}))
    assert [(todo.id, todo.text, todo.status) for todo in state.todos] == [
        ("1", "a", "completed"),
        ("2", "b", "pending"),
    ]


def test_a_plan_has_a_bounded_length() -> None:
    state = known(INIT, asks(todo_write("t1", *["x" * 1000] * 1000)), answers("t1"))
    assert len(state.todos) == MAX_TODOS
    assert max(map(len, texts(state))) <= 200


# -- beside the conversation ------------------------------------------------------------------------------


def test_a_job_in_the_background_keeps_a_run_from_being_over() -> None:
    after_first = next(
        state for message, state in states("background-bash-second-result") if message["type"] == "result"
    )
    assert after_first.phase is Phase.BACKGROUND
    assert [job.description for job in after_first.background] == ["Run /home/dev/other/slp.sh 3 bg3"]


def test_a_job_in_the_foreground_ends_with_its_turn() -> None:
    job = system("task_started", task_id="j1", task_type="local_bash", description="y", is_backgrounded=False)
    assert known(INIT, job).background == []
    assert known(INIT, job, RESULT).jobs == {}


@pytest.mark.parametrize(
    "end",
    [
        system("task_updated", task_id="j1", patch={"status": "killed"}),
        system("task_notification", task_id="j1", status="failed"),
        system("background_tasks_changed", tasks=[]),
    ],
)
def test_a_job_is_over_when_anything_says_so(end: dict[str, Any]) -> None:
    job = system("task_started", task_id="j1", description="y", is_backgrounded=True)
    assert known(INIT, RESULT, job).phase is Phase.BACKGROUND
    assert known(INIT, RESULT, job, end).phase is Phase.RESULT


def test_a_job_may_be_moved_to_the_background() -> None:
    job = system("task_started", task_id="j1", description="y", is_backgrounded=False)
    moved = system("task_updated", task_id="j1", patch={"is_backgrounded": True})
    assert [job.id for job in known(INIT, job, moved).background] == ["j1"]


def test_what_only_surrounds_a_session_is_no_background_work() -> None:
    listed = system(
        "background_tasks_changed", tasks=[{"task_id": "j1", "description": "m", "ambient": True}, None]
    )
    assert known(INIT, listed, RESULT).phase is Phase.RESULT


def test_progress_of_a_job_is_kept() -> None:
    job = system("task_started", task_id="j1", description="look", task_type="local_agent")
    state = known(INIT, job, system("task_progress", task_id="j1", description="Running ls"))
    assert [(job.kind, job.description, job.doing) for job in state.jobs.values()] == [
        ("local_agent", "look", "Running ls")
    ]


# -- what was not permitted -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tool-permission-denied", "permission-prompt-tool"])
def test_a_recorded_refusal_is_kept_once_however_often_it_is_told(name: str) -> None:
    state = read(recorded(name))
    assert state.denial_count == len(state.denials) == 1
    assert state.denials[0].tool == "Bash"
    assert state.denials[0].summary.startswith("touch /home/dev/other/out/den")
    assert state.denials[0].reason


def test_a_refusal_is_known_while_the_run_goes_on() -> None:
    denied = system("permission_denied", tool_name="Bash", tool_use_id="t1", message="not here")
    state = known(INIT, asks(call("t1", "Bash", command="rm x")), denied)
    assert [(item.tool, item.summary, item.reason) for item in state.denials] == [
        ("Bash", "rm x", "not here")
    ]


def test_an_interrupted_tool_was_not_refused() -> None:
    assert read(recorded("sigint-mid-bash")).denials == []


def test_of_many_refusals_all_are_counted_and_the_first_are_kept() -> None:
    said = [system("permission_denied", tool_name="Bash", tool_use_id=f"t{n}") for n in range(100)]
    listed = [
        {"tool_name": "Bash", "tool_use_id": f"t{n}", "tool_input": {"command": "x"}} for n in range(100)
    ]
    state = known(INIT, *said, {**RESULT, "permission_denials": listed})
    assert (state.denial_count, len(state.denials)) == (100, MAX_DENIALS)


# -- the session, its results and what they cost -----------------------------------------------------------


def test_the_session_is_described() -> None:
    state = read(recorded("worktree-resume"))
    assert state.session_id == "859c8cad-8156-41d7-92e7-45e532738123"
    assert state.cwd == "/home/dev/project/.claude/worktrees/wt1"
    assert (state.model, state.permission_mode, state.claude_version) == (
        "claude-opus-5-5",
        "default",
        "2.1.328",
    )


def test_a_conversation_that_is_reset_goes_on_in_another_session() -> None:
    assert known(INIT, {"type": "conversation_reset", "new_conversation_id": "s-2"}).session_id == "s-2"


def test_compacting_is_known_while_it_lasts() -> None:
    compacting = system("status", status="compacting")
    assert known(INIT, compacting).is_compacting
    assert not known(INIT, compacting, system("compact_boundary")).is_compacting
    assert not known(INIT, compacting, system("status", status=None)).is_compacting


@pytest.mark.parametrize(
    ("name", "turns", "results", "num_turns", "text"),
    [
        ("plain-success", 1, 1, 1, "Hello from the fake model."),
        ("tool-bash-success", 2, 1, 2, "finished"),
        ("background-bash-second-result", 3, 2, 1, "WOKEN"),
        ("stream-json-input-interrupt", 5, 5, 1, "after"),
        ("api-400", 0, 1, 1, "API Error: 400 Fake 400"),
        ("max-turns", 1, 1, 2, ""),
    ],
)
def test_the_last_result_of_a_recorded_run_is_kept(
    name: str, turns: int, results: int, num_turns: int, text: str
) -> None:
    state = read(recorded(name))
    assert state.result is not None
    assert (state.turns, state.results) == (turns, results)
    assert (state.result.num_turns, state.result.text) == (num_turns, text)


def test_a_result_says_how_it_came_about() -> None:
    result = read(recorded("max-budget")).result
    assert result is not None
    assert (result.subtype, result.terminal_reason) == ("error_max_budget_usd", "budget_exhausted")
    assert result.errors == ["Reached maximum budget ($0.006)"]
    assert result.duration_s == 0.221


def test_a_long_answer_keeps_its_beginning_and_its_end() -> None:
    result = known({**RESULT, "result": "a" * 50_000 + "z"}).result
    assert result is not None
    assert len(result.text) <= 8000
    assert result.text.startswith("aaa")
    assert result.text.endswith("az")
    assert "more characters] …" in result.text


@pytest.mark.parametrize(
    ("name", "total_usd", "run_usd"),
    [
        ("plain-success", 0.0053, 0.0053),
        ("fork-with-own-session-id", 0.0106, 0.0053),
        ("resume-after-budget", 0.0159, 0.0053),
        ("resume-after-sigkill", 0.0053, 0.0053),
        ("background-bash-second-result", 0.0159, 0.0159),
        ("worktree-resume", 0.0212, 0.0106),
        ("api-529-gives-up", 0, 0),
    ],
)
def test_the_cost_of_a_run_is_what_it_has_used_itself(name: str, total_usd: float, run_usd: float) -> None:
    assert read(recorded(name)).total_cost_usd == pytest.approx(total_usd)
    assert spent(name) == spent(name, before=total_usd) == pytest.approx(run_usd)


@pytest.mark.parametrize(("before_usd", "run_usd"), [(0.0, 0.5), (0.2, 0.3), (0.5, 0.0), (0.7, 0.5)])
def test_the_cost_of_a_run_that_lists_none_is_what_the_total_has_grown_by(
    before_usd: float, run_usd: float
) -> None:
    state = known({**RESULT, "total_cost_usd": 0.5}, before=StreamState(cost_before_usd=before_usd))
    assert state.run_cost_usd == pytest.approx(run_usd)


@pytest.mark.parametrize("cost", ["1", None, -1, float("nan"), float("inf"), True, 10**400])
def test_a_cost_that_is_no_amount_is_none(cost: Any) -> None:
    assert known({**RESULT, "total_cost_usd": cost}).run_cost_usd is None


@pytest.mark.parametrize("name", RUNS)
def test_tokens_are_those_of_the_run(name: str) -> None:
    input_tokens = sum(
        message["usage"]["input_tokens"] for message, _ in states(name) if message["type"] == "result"
    )
    assert read(recorded(name)).usage.input_tokens == input_tokens
