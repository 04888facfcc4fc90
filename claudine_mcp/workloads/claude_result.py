"""The `result` messages of a run: how a turn ended, what it has cost, what was not permitted."""

from __future__ import annotations

from claudine_mcp.core.models import JSON
from claudine_mcp.workloads import claude_fields as fields
from claudine_mcp.workloads.claude_jobs import end_foreground
from claudine_mcp.workloads.claude_state import (
    ERROR_CHARS,
    MAX_DENIALS,
    MAX_ERRORS,
    RESULT_CHARS,
    Denial,
    Result,
    StreamState,
)


def read_result(message: JSON, at: float) -> Result:
    """What a `result` message says about how a turn ended."""
    is_error = message.get("is_error")
    duration_ms = fields.number(message.get("duration_ms"))
    return Result(
        at=at,
        subtype=fields.word(message.get("subtype")),
        is_error=is_error if isinstance(is_error, bool) else None,
        api_error_status=fields.integer(message.get("api_error_status")),
        api_error=fields.word(message.get("api_error")),
        api_error_type=fields.word(message.get("api_error_type")),
        num_turns=fields.integer(message.get("num_turns")),
        text=fields.text(message.get("result"), RESULT_CHARS),
        errors=[
            fields.text(error, ERROR_CHARS) for error in fields.items(message.get("errors"))[:MAX_ERRORS]
        ],
        terminal_reason=fields.word(message.get("terminal_reason")),
        duration_s=None if duration_ms is None else duration_ms / 1000,
        queued_turns=fields.count(message.get("queued_turn_count")),
        is_interrupted=message.get("interrupted_by_shutdown") is True,
    )


def end_turn(state: StreamState, message: JSON) -> None:
    """Take a `result` message: the turn is over, and nothing waits any more but what is in the background."""
    state.result = read_result(message, state.read_at)
    state.result.error, state.error = state.error, ""
    state.results += 1
    state.is_turn_open = state.is_compacting = False
    state.retry = None
    state.tools.clear()
    end_foreground(state)
    _add_cost(state, message)
    for item in fields.items(message.get("permission_denials")):
        denial = fields.mapping(item)
        call_id, tool = fields.word(denial.get("tool_use_id")), fields.word(denial.get("tool_name"))
        deny(state, Denial(tool, fields.tool_summary(denial.get("tool_input")), "", call_id), at_end=True)


def deny(state: StreamState, denial: Denial, *, at_end: bool = False) -> None:
    """Keep a refusal. It is told when it happens, with the tool's result and once more at the turn's end.

    Of those that are too many to be kept, only the last word counts, since nobody knows whether it is the first.
    """
    known = next((known for known in state.denials if known.tool_use_id == denial.tool_use_id), None)
    if known and denial.tool_use_id:
        known.summary = known.summary or denial.summary
        known.reason = known.reason or denial.reason
        return
    is_kept = len(state.denials) < MAX_DENIALS
    if is_kept:
        state.denials.append(denial)
    state.denial_count += is_kept or at_end


def _add_cost(state: StreamState, message: JSON) -> None:
    total_usd = fields.number(message.get("total_cost_usd"))
    if total_usd is not None and total_usd >= 0:
        state.total_cost_usd = total_usd
    used = message.get("model_usage_since_last_result")
    if isinstance(used, dict):
        models = fields.mapping(used).values()
        costs_usd = (fields.number(fields.mapping(model).get("costUSD")) for model in models)
        state.listed_cost_usd += sum(max(cost_usd or 0.0, 0.0) for cost_usd in costs_usd)
    else:
        state.is_cost_listed = False
    usage = fields.mapping(message.get("usage"))
    state.usage.input_tokens += fields.count(usage.get("input_tokens"))
    state.usage.output_tokens += fields.count(usage.get("output_tokens"))
    state.usage.cache_creation_input_tokens += fields.count(usage.get("cache_creation_input_tokens"))
    state.usage.cache_read_input_tokens += fields.count(usage.get("cache_read_input_tokens"))
