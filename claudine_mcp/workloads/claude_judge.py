"""How a run of Claude Code ended: what its stream and its exit together support, in words.

Neither is enough alone. It exits with 0 after SIGINT, a result of subtype `success` may be an API error, and a
SIGTERM can leave both looking well. So a run has succeeded when its process exited with 0, its last turn has a
result with `is_error: false`, it was not shut down, and nobody here had asked it to stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from claudine_mcp.core.evidence import ExitRecord, Judgement, is_signal, judge_exit, signal_name
from claudine_mcp.core.requeue import Passing
from claudine_mcp.core.states import Outcome
from claudine_mcp.workloads.claude_failures import (
    REASON_CHARS,
    Failure,
    describe_failure,
    of_status,
    until_reset,
)
from claudine_mcp.workloads.claude_fields import one_line
from claudine_mcp.workloads.claude_state import Phase, Result, StreamState

_SIGNAL_BASE: Final = 128  # what a program exits with that has caught a signal, plus the signal's number


@dataclass(frozen=True, slots=True)
class ClaudeJudgement(Judgement):
    """How a run of Claude Code ended.

    Attributes:
        failure: what kind of failure it was; None for a success, and where something else decided.
        resets_at: when the limit ends that it has met, in seconds since the epoch; None if that is not known.
    """

    failure: Failure | None = None
    resets_at: float | None = None


def judge(
    state: StreamState, record: ExitRecord, *, stop_reason: str | None, stderr: str = ""
) -> ClaudeJudgement:
    """Give the outcome that the stream and the exit of a run support.

    Args:
        state: what its output says, read to its end.
        record: how its main process ended.
        stop_reason: why we had asked it to stop before it exited; None when we had not.
        stderr: the end of its standard error, where it says why it could not start.
    """
    plain = judge_exit(record, stop_reason=stop_reason)
    result = None if state.is_turn_open else state.result
    if plain.outcome not in {Outcome.FAILED, Outcome.SUCCEEDED}:
        is_well = plain.outcome is Outcome.INTERRUPTED and result is not None and result.is_error is False
        said = "; its last result was a success" if is_well else ""
        return ClaudeJudgement(plain.outcome, plain.reason + said)
    if record.signal is not None:
        return _failed(Failure.KILLED, f"{plain.reason} {_meanwhile(state)}")
    if result is None:
        return _without_result(state, record, stderr)
    return _with_result(state, result, record)


def _with_result(state: StreamState, result: Result, record: ExitRecord) -> ClaudeJudgement:
    described = describe_failure(
        result,
        retries=state.retries,
        rate_limit=state.rate_limit,
        last_tool=state.last_tool,
        spent_usd=state.run_cost_usd,
    )
    if described is not None:
        failure, reason = described
        limit = state.rate_limit if failure is Failure.RATE_LIMITED else None
        return _failed(failure, reason, limit.resets_at if limit else None)
    if record.code != 0:
        failure = Failure.KILLED if _signal(record) else Failure.OTHER
        return _failed(failure, f"{_exit(record)}, though its result was a success")
    return ClaudeJudgement(Outcome.SUCCEEDED, f"exit code 0 and a result without error{_refusals(state)}")


def _without_result(state: StreamState, record: ExitRecord, stderr: str) -> ClaudeJudgement:
    """Its output ends before, or in the middle of, a turn."""
    if _signal(record):
        return _failed(Failure.KILLED, f"{_exit(record)} {_meanwhile(state)}")
    if state.results:
        how = f" in the middle of a turn, {_meanwhile(state)}"
    else:
        how = " but printed no result" if record.code == 0 else " before it had printed a result"
    lost = state.long_lines + state.unreadable_lines
    said = f"{lost} line{'s' if lost > 1 else ''} of its output could not be read" if lost else ""
    why = one_line(stderr.strip(), REASON_CHARS) or said
    return _failed(Failure.NO_RESULT, f"{_exit(record)}{how}{f': {why}' if why else ''}")


def _exit(record: ExitRecord) -> str:
    memory = " (the kernel ended one of its processes because memory ran out)"
    by = f"ended by {_signal(record)} (exit code {record.code})" if _signal(record) else None
    return f"{by or f'it exited with {record.code}'}{memory if record.killed_for_memory else ''}"


def _signal(record: ExitRecord) -> str:
    """The signal that Claude Code exited because of, if it says so by its exit code; else ""."""
    number = (record.code or 0) - _SIGNAL_BASE
    return signal_name(number) if is_signal(number) else ""


def _meanwhile(state: StreamState) -> str:
    """What a run was doing when it ended."""
    match state.phase:
        case Phase.STARTING:
            return "before it had printed anything"
        case Phase.MODEL:
            after = f", after {state.last_tool}" if state.last_tool else ""
            return f"while it waited for the model{after}"
        case Phase.TOOL:
            labels = [call.label for call in state.running_tools] or ["a tool"]
            more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
            return f"while it ran {labels[0]}{more}"
        case Phase.RETRYING | Phase.RATE_LIMITED:
            return f"while it waited to ask the API again{_retrying(state)}"
        case Phase.RESULT:
            return "after its result"
        case Phase.BACKGROUND:
            work = [job.description for job in state.background if job.description] or ["work"]
            return f"after its result, while {work[0]} went on in the background"


def _retrying(state: StreamState) -> str:
    retry = state.retry
    if retry is None:
        return until_reset(state.rate_limit)
    status = retry.error_status
    answer = "it had not answered" if status is None else f"it had answered {status}, {of_status(status)[1]}"
    return f" (retry {retry.attempt} of {retry.max_retries}: {answer})"


def _refusals(state: StreamState) -> str:
    count = state.denial_count
    return f"; {count} tool call{'s were' if count > 1 else ' was'} not permitted" if count else ""


def _failed(failure: Failure, reason: str, resets_at: float | None = None) -> ClaudeJudgement:
    passing = Passing(failure, resets_at) if failure.may_pass else None
    return ClaudeJudgement(Outcome.FAILED, reason, passing, failure, resets_at)
