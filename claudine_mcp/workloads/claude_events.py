"""One message of Claude Code's stream-json output, folded into what is known of its run.

The messages are those that Claude Code 2.1.328 was seen to print, and a few that its own schema names. What is
unknown, or has fields of unexpected types, changes nothing and is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from claudine_mcp.core.models import JSON
from claudine_mcp.workloads import claude_fields as fields
from claudine_mcp.workloads.claude_plan import apply_plan, planned
from claudine_mcp.workloads.claude_state import (
    ERROR_CHARS,
    MAX_CALLS,
    MAX_DENIALS,
    MAX_ERRORS,
    MAX_JOBS,
    MAX_TOOLS,
    RESULT_CHARS,
    Denial,
    Job,
    Phase,
    RateLimit,
    Result,
    Retry,
    StreamState,
    ToolCall,
)

_ENDED: Final = frozenset({"completed", "failed", "stopped", "killed", "cancelled", "error"})
_TOO_MANY_REQUESTS: Final = 429


def fold(state: StreamState, message: JSON, at: float) -> None:
    """Take a message into the state; `at` is when it was read."""
    state.lines += 1
    kind = message.get("type")
    handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
    if handler:
        if not state.session_id:
            state.session_id = fields.word(message.get("session_id"))
        handler(state, message, at)
        settle(state, at)


def stream_goes_on(state: StreamState, at: float) -> None:
    """Take note that the model's answer is arriving."""
    state.is_turn_open = True
    state.retry = None
    state.active_at = at
    settle(state, at)


def finish_named(state: StreamState, texts: Iterable[bytes], at: float) -> None:
    """End the tools whose ids occur, in quotes, in what is left of a line that is too long to be read."""
    for call in list(state.tools.values()):
        name = f'"{call.id}"'.encode()
        if any(name in part for part in texts):
            _finish(state, call.id)
    state.active_at = at
    settle(state, at)


def settle(state: StreamState, at: float) -> None:
    """Say which phase follows from the rest of the state, and since when."""
    phase = _phase(state)
    if phase is not state.phase or state.phase_since is None:
        state.phase, state.phase_since = phase, at


def _phase(state: StreamState) -> Phase:
    if not state.is_turn_open:
        if not state.results:
            return Phase.STARTING
        return Phase.BACKGROUND if state.background else Phase.RESULT
    if state.rate_limit:
        return Phase.RATE_LIMITED
    if state.retry:
        is_limit = state.retry.error_status == _TOO_MANY_REQUESTS or state.retry.error == "rate_limit"
        return Phase.RATE_LIMITED if is_limit else Phase.RETRYING
    return Phase.TOOL if state.running_tools else Phase.MODEL


# -- the conversation -------------------------------------------------------------------------------------


def _assistant(state: StreamState, message: JSON, at: float) -> None:
    answer = fields.mapping(message.get("message"))
    parent = fields.word(message.get("parent_tool_use_id")) or None
    message_id = fields.word(answer.get("id"))
    state.active_at = at
    is_error = message.get("is_api_error_message") is True
    if parent is None:
        state.is_turn_open = True
        state.retry = None
        if not is_error:
            state.retries = 0
            state.rate_limit = None
        if not is_error and message_id != state.message_id:
            # The model was asked again, so what it had called before has answered, even if that was not read.
            state.turns += 1
            for call in state.running_tools:
                _finish(state, call.id)
            state.message_id = message_id
    for item in fields.items(answer.get("content")):
        block = fields.mapping(item)
        if block.get("type") == "tool_use":
            _start(state, block, message_id, parent, at)


def _start(state: StreamState, block: JSON, message_id: str, parent: str | None, at: float) -> None:
    call_id, name, tool_input = fields.word(block.get("id")), fields.word(block.get("name")), block.get("input")
    if not call_id:
        return
    call = ToolCall(call_id, name, fields.tool_summary(tool_input), at, message_id, parent)
    call.todos = planned(name, tool_input)
    state.tools[call_id] = call
    if len(state.tools) > MAX_TOOLS:
        del state.tools[next(iter(state.tools))]
    state.last_tool = call.label
    state.recent_calls.append(fields.call_hash(name, tool_input))
    del state.recent_calls[:-MAX_CALLS]


def _finish(state: StreamState, call_id: str) -> ToolCall | None:
    """Forget a call, and those that its subagent has made."""
    call = state.tools.pop(call_id, None)
    for other in [other.id for other in state.tools.values() if other.parent_id == call_id]:
        _finish(state, other)
    return call


def _user(state: StreamState, message: JSON, at: float) -> None:
    state.active_at = at
    if not message.get("parent_tool_use_id"):
        state.is_turn_open = True
        state.retry = None
    for item in fields.items(fields.mapping(message.get("message")).get("content")):
        block = fields.mapping(item)
        if block.get("type") == "tool_result":
            call = _finish(state, fields.word(block.get("tool_use_id")))
            if call and block.get("is_error") is not True:
                apply_plan(state, call, message.get("tool_use_result"), block.get("content"))
            if call:
                _note_refusal(state, call, message, block)


def _note_refusal(state: StreamState, call: ToolCall, message: JSON, block: JSON) -> None:
    for item in fields.items(message.get("tool_result_meta")):
        meta = fields.mapping(item)
        decision = fields.mapping(meta.get("permission_decision")).get("decision")
        if meta.get("id") == call.id and decision == "reject":
            reason = fields.one_line(fields.first_texts(block.get("content"), ERROR_CHARS))
            _deny(state, Denial(call.name, call.summary, reason, call.id))


def _deny(state: StreamState, denial: Denial) -> None:
    """Keep a refusal. It is told when it happens, with the tool's result and once more at the end."""
    known = next((known for known in state.denials if known.tool_use_id == denial.tool_use_id), None)
    if known and denial.tool_use_id:
        known.summary = known.summary or denial.summary
        known.reason = known.reason or denial.reason
        return
    state.denial_count += 1
    if len(state.denials) < MAX_DENIALS:
        state.denials.append(denial)


def _tool_progress(state: StreamState, message: JSON, at: float) -> None:
    """A heartbeat, which shows no progress; or word of a subagent whose request failed."""
    retry = fields.mapping(message.get("subagent_retry"))
    if retry:
        _retry(state, {**retry, "error": retry.get("error_category")}, at)


# -- the API ----------------------------------------------------------------------------------------------


def _retry(state: StreamState, message: JSON, at: float) -> None:
    delay_s = max(fields.number(message.get("retry_delay_ms")) or 0.0, 0.0) / 1000
    state.is_turn_open = True
    state.retries = fields.count(message.get("attempt"))
    state.retry = Retry(
        attempt=state.retries,
        max_retries=fields.count(message.get("max_retries")),
        until=at + delay_s,
        error_status=fields.integer(message.get("error_status")),
        error=fields.word(message.get("error")),
        since=state.retry.since if state.retry else at,
    )


def _rate_limit(state: StreamState, message: JSON, at: float) -> None:
    info = fields.mapping(message.get("rate_limit_info"))
    if info.get("status") == "rejected" and info.get("isUsingOverage") is not True:
        resets_at = fields.number(info.get("resetsAt"))
        state.rate_limit = RateLimit(fields.word(info.get("rateLimitType")), resets_at, at)
    elif info.get("status") in {"allowed", "allowed_warning"}:
        state.rate_limit = None


# -- the session ------------------------------------------------------------------------------------------


def _init(state: StreamState, message: JSON, at: float) -> None:
    state.session_id = fields.word(message.get("session_id")) or state.session_id
    state.model = fields.word(message.get("model"))
    state.cwd = fields.text(message.get("cwd"), ERROR_CHARS)
    state.permission_mode = fields.word(message.get("permissionMode"))
    state.claude_version = fields.word(message.get("claude_code_version"))
    state.is_turn_open = True
    state.active_at = at
    state.retry = None


def _status(state: StreamState, message: JSON, at: float) -> None:
    state.is_compacting = message.get("status") == "compacting"
    state.permission_mode = fields.word(message.get("permissionMode")) or state.permission_mode
    state.active_at = at


def _compacted(state: StreamState, message: JSON, at: float) -> None:
    state.is_compacting = False
    state.active_at = at


def _thinking(state: StreamState, message: JSON, at: float) -> None:
    stream_goes_on(state, at)


def _refused(state: StreamState, message: JSON, at: float) -> None:
    call_id = fields.word(message.get("tool_use_id"))
    call = state.tools.get(call_id)
    summary = call.summary if call else ""
    reason = fields.one_line(message.get("message"))
    _deny(state, Denial(fields.word(message.get("tool_name")), summary, reason, call_id))
    state.active_at = at


def _new_session(state: StreamState, message: JSON, at: float) -> None:
    state.session_id = fields.word(message.get("new_conversation_id")) or state.session_id


# -- work beside the conversation -------------------------------------------------------------------------


def _job(state: StreamState, message: JSON, at: float) -> None:
    """Any of `task_started`, `task_progress`, `task_updated`, `task_notification`."""
    state.active_at = at
    job_id = fields.word(message.get("task_id"))
    patch = fields.mapping(message.get("patch"))
    if fields.word(message.get("status")) in _ENDED or fields.word(patch.get("status")) in _ENDED:
        state.jobs.pop(job_id, None)
        return
    started = message.get("subtype") == "task_started"
    job = state.jobs.get(job_id)
    if job is None and started and job_id:
        job = _add_job(state, job_id, message, at, is_background=False)
    if job is None:
        return
    if started:
        job.description = fields.one_line(message.get("description"))
    else:
        job.doing = fields.one_line(message.get("description")) or job.doing
    for source in (message, patch):
        job.is_background = source.get("is_backgrounded") is True or job.is_background


def _background(state: StreamState, message: JSON, at: float) -> None:
    """The whole list of what runs in the background; what is ambient does not keep Claude Code from ending."""
    state.active_at = at
    listed: dict[str, JSON] = {}
    for item in fields.items(message.get("tasks"))[:MAX_JOBS]:
        job = fields.mapping(item)
        if (job_id := fields.word(job.get("task_id"))) and job.get("ambient") is not True:
            listed[job_id] = job
    for job in state.background:
        if job.id not in listed:
            del state.jobs[job.id]
    for job_id, job in listed.items():
        known = state.jobs.get(job_id) or _add_job(state, job_id, job, at, is_background=True)
        known.is_background = True


def _add_job(state: StreamState, job_id: str, message: JSON, at: float, *, is_background: bool) -> Job:
    kind, description = fields.word(message.get("task_type")), fields.one_line(message.get("description"))
    job = state.jobs[job_id] = Job(job_id, kind, description, is_background, at)
    if len(state.jobs) > MAX_JOBS:
        del state.jobs[next(iter(state.jobs))]
    return job


# -- the result -------------------------------------------------------------------------------------------


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
        errors=[fields.text(error, ERROR_CHARS) for error in fields.items(message.get("errors"))[:MAX_ERRORS]],
        terminal_reason=fields.word(message.get("terminal_reason")),
        duration_s=None if duration_ms is None else duration_ms / 1000,
        is_interrupted=message.get("interrupted_by_shutdown") is True,
    )


def _result(state: StreamState, message: JSON, at: float) -> None:
    state.result = read_result(message, at)
    state.results += 1
    state.is_turn_open = state.is_compacting = False
    state.retry = None
    state.active_at = at
    state.tools.clear()
    for job in list(state.jobs.values()):
        if not job.is_background:
            del state.jobs[job.id]
    _add_cost(state, message)
    for item in fields.items(message.get("permission_denials")):
        denial = fields.mapping(item)
        call_id, tool = fields.word(denial.get("tool_use_id")), fields.word(denial.get("tool_name"))
        _deny(state, Denial(tool, fields.tool_summary(denial.get("tool_input")), "", call_id))


def _add_cost(state: StreamState, message: JSON) -> None:
    total_usd = fields.number(message.get("total_cost_usd"))
    if total_usd is not None and total_usd >= 0:
        state.total_cost_usd = total_usd
    used = message.get("model_usage_since_last_result")
    if isinstance(used, dict):
        costs = (fields.number(fields.mapping(model).get("costUSD")) for model in fields.mapping(used).values())
        state.listed_cost_usd += sum(max(cost or 0.0, 0.0) for cost in costs)
    else:
        state.is_cost_listed = False
    usage = fields.mapping(message.get("usage"))
    state.usage.input_tokens += fields.count(usage.get("input_tokens"))
    state.usage.output_tokens += fields.count(usage.get("output_tokens"))
    state.usage.cache_creation_input_tokens += fields.count(usage.get("cache_creation_input_tokens"))
    state.usage.cache_read_input_tokens += fields.count(usage.get("cache_read_input_tokens"))


def _system(state: StreamState, message: JSON, at: float) -> None:
    subtype = message.get("subtype")
    handler = _SYSTEM.get(subtype) if isinstance(subtype, str) else None
    if handler:
        handler(state, message, at)


def _stream_event(state: StreamState, message: JSON, at: float) -> None:
    stream_goes_on(state, at)


_Handler = Callable[[StreamState, JSON, float], None]

_SYSTEM: Final[dict[str, _Handler]] = {
    "init": _init,
    "api_retry": _retry,
    "status": _status,
    "compact_boundary": _compacted,
    "thinking_tokens": _thinking,
    "permission_denied": _refused,
    "task_started": _job,
    "task_progress": _job,
    "task_updated": _job,
    "task_notification": _job,
    "background_tasks_changed": _background,
}

_HANDLERS: Final[dict[str, _Handler]] = {
    "system": _system,
    "assistant": _assistant,
    "user": _user,
    "tool_progress": _tool_progress,
    "rate_limit_event": _rate_limit,
    "result": _result,
    "stream_event": _stream_event,
    "conversation_reset": _new_session,
}
