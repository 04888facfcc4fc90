from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest
from claude_recordings import (
    AT,
    FOLDER,
    INIT,
    RESULT,
    RUNS,
    answers,
    asks,
    call,
    exited,
    known,
    read,
    recorded,
    system,
)
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.evidence import ExitRecord
from claudine_mcp.core.states import Outcome
from claudine_mcp.workloads.claude_failures import FINISHED, UNFINISHED, Failure
from claudine_mcp.workloads.claude_judge import judge
from claudine_mcp.workloads.claude_state import StreamState
from claudine_mcp.workloads.claude_stream import StreamReader

CLEAN = exited(0)
records = st.builds(
    ExitRecord,
    source=st.sampled_from(["keeper", "waitpid", "pidfd", "unknown"]),
    code=st.none() | st.integers(0, 255),
    signal=st.none() | st.integers(1, 64),
    at=st.floats(0, 1e10),
    exec_error=st.none() | st.just("cannot run 'claude'"),
    killed_for_memory=st.booleans(),
)


def test_every_recording_is_judged_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.jsonl")} == set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_run_is_judged_by_what_it_printed_and_how_it_exited(name: str) -> None:
    ended = RUNS[name]
    judgement = judge(read(recorded(name)), exited(ended.code), stop_reason=None)
    assert (judgement.outcome, judgement.failure) == (ended.outcome, ended.failure)
    assert ended.words in judgement.reason
    assert judgement.reason.isprintable()


@pytest.mark.parametrize("name", RUNS)
def test_no_recorded_run_succeeds_by_its_output_alone(name: str) -> None:
    state = read(recorded(name))
    for record in (exited(1), exited(143), exited(-9), ExitRecord("unknown", None, None, AT)):
        assert judge(state, record, stop_reason=None).outcome is not Outcome.SUCCEEDED
    assert judge(state, CLEAN, stop_reason="cancelled by you").outcome is Outcome.CANCELLED


def complete(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def supports_success(whole_lines: list[bytes]) -> bool:
    """Whether the last thing that was printed of a turn is a result without error."""
    telling = [
        message
        for message in map(json.loads, whole_lines)
        if message["type"] in {"assistant", "user", "result"} or message.get("subtype") == "init"
    ]
    return bool(telling) and telling[-1].get("is_error") is False


EVERY_BYTE = {
    "sigint-mid-bash",
    "background-bash-second-result",
    "api-529-gives-up",
    "resume-unknown-session",
}


@pytest.mark.parametrize("name", RUNS)
def test_output_that_was_cut_off_anywhere_supports_no_more_than_its_whole_lines(name: str) -> None:
    reader, whole = StreamReader(), list[bytes]()
    for line in recorded(name).splitlines(keepends=True):
        before, expected = pickle.dumps(reader.state), supports_success(whole)
        # Results are cut more often than other lines; the ends of all, and a few recordings, at every byte.
        step = 1 if name in EVERY_BYTE else 3 if b'"result_index"' in line else 13
        for end in sorted({*range(1, len(line), step), *range(len(line) - 3, len(line))}):
            torn = StreamReader(pickle.loads(before))
            torn.feed(line[:end], AT)
            torn.finish(AT)
            if line[end - 1] == ord("}") and complete(line[:end]):
                expected = supports_success([*whole, line])
            assert (judge(torn.state, CLEAN, stop_reason=None).outcome is Outcome.SUCCEEDED) == expected
        reader.feed(line, AT)
        whole.append(line)


@given(records, st.none() | st.just("cancelled by you"), st.sampled_from(sorted(RUNS)))
def test_success_needs_a_seen_exit_with_0_a_result_without_error_and_no_stop(
    record: ExitRecord, stop_reason: str | None, name: str
) -> None:
    state = STATES[name]
    judgement = judge(state, record, stop_reason=stop_reason)
    is_clean = record.source != "unknown" and record.code == 0 and record.signal is None
    is_clean = is_clean and record.exec_error is None and stop_reason is None
    is_well = not state.is_turn_open and state.result is not None and state.result.is_error is False
    is_well = is_well and state.result is not None and state.result.terminal_reason in FINISHED
    assert (judgement.outcome is Outcome.SUCCEEDED) == (is_clean and is_well)
    assert judgement.reason
    assert (judgement.failure is not None) == (judgement.outcome is Outcome.FAILED)


STATES: dict[str, StreamState] = {name: read(recorded(name)) for name in RUNS}

BASH = asks(call("t1", "Bash", command="sleep 30"))
LIMIT = {"status": "rejected", "resetsAt": 1_800_000_000, "rateLimitType": "five_hour"}


def failed_result(**facts: object) -> dict[str, object]:
    return {**RESULT, "is_error": True, **facts}


@pytest.mark.parametrize(
    ("said", "code", "failure", "words"),
    [
        ([], 0, Failure.NO_RESULT, "it exited with 0 but printed no result"),
        ([], 1, Failure.NO_RESULT, "it exited with 1 before it had printed a result"),
        ([], -9, Failure.KILLED, "killed by signal 9 (SIGKILL) before it had printed anything"),
        ([INIT], 0, Failure.NO_RESULT, "it exited with 0 but printed no result"),
        ([INIT, BASH], -9, Failure.KILLED, "killed by signal 9 (SIGKILL) while it ran Bash (sleep 30)"),
        (
            [INIT, BASH, asks(call("t2", "Read", file_path="/a"))],
            -15,
            Failure.KILLED,
            "while it ran Bash (sleep 30) and 1 more",
        ),
        ([INIT, RESULT], -9, Failure.KILLED, "killed by signal 9 (SIGKILL) after its result"),
        ([INIT, RESULT], 143, Failure.KILLED, "(exit code 143), though its result was a success"),
        ([INIT, RESULT], 3, Failure.OTHER, "it exited with 3, though its result was a success"),
        (
            [
                INIT,
                system("background_tasks_changed", tasks=[{"task_id": "b", "description": "a build"}]),
                RESULT,
            ],
            -9,
            Failure.KILLED,
            "after its result, while a build went on in the background",
        ),
        (
            [INIT, RESULT, INIT],
            0,
            Failure.NO_RESULT,
            "it exited with 0 in the middle of a turn, while it waited for the model",
        ),
        (
            [INIT, {**RESULT, "interrupted_by_shutdown": True}],
            0,
            Failure.INTERRUPTED,
            "it was interrupted while the model answered",
        ),
        ([INIT, {**RESULT, "is_error": None}], 0, Failure.OTHER, "does not say whether it is a success"),
        ([INIT, {**RESULT, "is_error": "false"}], 0, Failure.OTHER, "does not say whether"),
        (
            [INIT, {"type": "rate_limit_event", "rate_limit_info": LIMIT}],
            -9,
            Failure.KILLED,
            "while it waited to ask the API again (the limit resets at 2027-01-15T08:00:00.000Z)",
        ),
        (
            [INIT, system("api_retry", attempt=2, max_retries=10, retry_delay_ms=1, error_status=None)],
            -9,
            Failure.KILLED,
            "(retry 2 of 10: it had not answered)",
        ),
        (
            [
                INIT,
                {"type": "rate_limit_event", "rate_limit_info": LIMIT},
                failed_result(api_error_status=429, result="You've hit your limit"),
            ],
            1,
            Failure.RATE_LIMITED,
            "gave up at once (the limit resets at 2027-01-15T08:00:00.000Z): You've hit your limit",
        ),
        (
            [INIT, failed_result(api_error="usage_limit_reached", result="no more this week")],
            1,
            Failure.RATE_LIMITED,
            "a usage limit is reached: no more this week",
        ),
        (
            [INIT, failed_result(api_error_status=418, result="short and stout")],
            1,
            Failure.BAD_REQUEST,
            "the API answered 418 (refused): short and stout",
        ),
        ([INIT, failed_result(api_error_status=599)], 1, Failure.SERVER_ERROR, "599 (server error)"),
        (
            [INIT, failed_result(api_error_status=500, api_error_type="overloaded_error")],
            1,
            Failure.OVERLOADED,
            "500",
        ),
        ([INIT, failed_result(api_error_status=402)], 1, Failure.BILLING, "402 (payment required)"),
        (
            [
                INIT,
                failed_result(
                    subtype="error_max_structured_output_retries", errors=["no JSON came"], result=None
                ),
            ],
            1,
            Failure.OTHER,
            "Claude Code reports an error: no JSON came",
        ),
        ([INIT, failed_result(subtype="error_max_turns")], 1, Failure.MAX_TURNS, "max turns reached"),
        ([INIT, failed_result(subtype="error_max_budget_usd")], 1, Failure.MAX_BUDGET, "budget exceeded"),
    ],
)
def test_a_run_that_has_not_succeeded_says_why(
    said: list[dict[str, object]], code: int, failure: Failure, words: str
) -> None:
    judgement = judge(known(*said), exited(code), stop_reason=None)
    assert (judgement.outcome, judgement.failure) == (Outcome.FAILED, failure)
    assert words in judgement.reason


def test_a_turn_that_did_not_come_to_its_own_end_is_no_success_whatever_else_it_is_called() -> None:
    for reason, (failure, words) in UNFINISHED.items():
        state = known(INIT, BASH, {**RESULT, "terminal_reason": reason})
        judgement = judge(state, CLEAN, stop_reason=None)
        assert (judgement.outcome, judgement.failure) == (Outcome.FAILED, failure), reason
        assert words in judgement.reason


@pytest.mark.parametrize("reason", [*sorted(FINISHED), None])
def test_a_turn_that_came_to_its_own_end_is_a_success(reason: str | None) -> None:
    state = known(INIT, {**RESULT, "terminal_reason": reason})
    assert judge(state, CLEAN, stop_reason=None).outcome is Outcome.SUCCEEDED


def test_an_end_that_nobody_knows_is_no_success_and_is_named() -> None:
    state = known(INIT, {**RESULT, "terminal_reason": "dissolved"})
    judgement = judge(state, CLEAN, stop_reason=None)
    assert (judgement.outcome, judgement.failure) == (Outcome.FAILED, Failure.OTHER)
    assert "'dissolved'" in judgement.reason


def test_a_turn_that_a_hook_has_stopped_names_the_tool_before_it() -> None:
    state = known(INIT, BASH, answers("t1"), {**RESULT, "terminal_reason": "hook_stopped"})
    assert judge(state, CLEAN, stop_reason=None).reason == "a hook stopped it, after Bash (sleep 30)"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("authentication_failed", Failure.AUTH),
        ("billing_error", Failure.BILLING),
        ("overloaded", Failure.OVERLOADED),
        ("unknown", Failure.OTHER),
    ],
)
def test_an_error_without_a_status_is_of_the_kind_that_the_answer_before_it_names(
    error: str, failure: Failure
) -> None:
    said = {**asks(), "error": error, "is_api_error_message": True}
    result = failed_result(terminal_reason="api_error", result="Not logged in · Please run /login")
    judgement = judge(known(INIT, said, result), exited(1), stop_reason=None)
    assert judgement.failure is failure
    assert "Not logged in · Please run /login" in judgement.reason
    later = known(INIT, said, result, INIT, asks(), result)
    assert judge(later, exited(1), stop_reason=None).failure is Failure.OTHER


def test_the_time_at_which_a_limit_ends_is_told_only_of_a_failure_by_that_limit() -> None:
    limit = {"type": "rate_limit_event", "rate_limit_info": LIMIT}
    by_limit = known(INIT, limit, failed_result(api_error_status=429))
    by_other = known(INIT, limit, failed_result(subtype="error_max_turns"))
    assert judge(by_limit, exited(1), stop_reason=None).resets_at == 1_800_000_000
    assert judge(by_other, exited(1), stop_reason=None).resets_at is None


def test_a_run_that_did_not_get_to_its_output_is_explained_by_its_standard_error() -> None:
    said = "Error: Session ID 11111111-aaaa-4bbb-8ccc-000000000001 is already in use.\n"
    judgement = judge(StreamState(), exited(1), stop_reason=None, stderr=said)
    assert judgement.failure is Failure.NO_RESULT
    assert judgement.reason == f"it exited with 1 before it had printed a result: {said.strip()}"


def test_lines_that_could_not_be_read_are_named_where_a_result_is_missing() -> None:
    state = read(b'{"type":"result","is_err')
    assert judge(state, CLEAN, stop_reason=None).reason.endswith("1 line of its output could not be read")


def test_nobody_knows_how_a_run_ended_that_nobody_saw_exit_even_if_its_result_is_a_success() -> None:
    record = ExitRecord("unknown", None, None, AT)
    judgement = judge(known(INIT, RESULT), record, stop_reason=None)
    assert judgement.outcome is Outcome.INTERRUPTED
    assert judgement.reason.endswith("its last result was a success")
    assert "success" not in judge(known(INIT), record, stop_reason=None).reason


@pytest.mark.parametrize("code", [-9, 137, 1, 0])
def test_a_run_that_memory_has_ended_says_so(code: int) -> None:
    record = replace(exited(code), killed_for_memory=True)
    assert "memory ran out" in judge(known(INIT, BASH), record, stop_reason=None).reason


def test_what_may_pass_by_itself_is_what_the_api_or_the_way_to_it_has_failed_at() -> None:
    passing = {Failure.OVERLOADED, Failure.SERVER_ERROR, Failure.RATE_LIMITED, Failure.NETWORK}
    assert {failure for failure in Failure if failure.may_pass} == passing


def test_a_program_that_could_not_be_started_is_no_failure_of_claude_code() -> None:
    record = ExitRecord("keeper", 126, None, AT, "cannot run 'claude': no such file")
    judgement = judge(StreamState(), record, stop_reason=None)
    assert (judgement.outcome, judgement.failure) == (Outcome.NOT_STARTED, None)


def test_refused_tools_are_told_beside_a_success() -> None:
    asked, refused = call("t1", "Bash", command="rm x"), call("t2", "Write", file_path="/a")
    reject = {"permission_decision": {"decision": "reject"}}
    state = known(
        INIT,
        asks(asked, refused),
        answers("t1", "no", error=True, tool_result_meta=[{"id": "t1", **reject}]),
        answers("t2", "no", error=True, tool_result_meta=[{"id": "t2", **reject}]),
        RESULT,
    )
    judgement = judge(state, CLEAN, stop_reason=None)
    assert judgement.outcome is Outcome.SUCCEEDED
    assert judgement.reason.endswith("; 2 tool calls were not permitted")
