"""One message of Claude Code's stream-json output, folded into what is known of its run.

The messages are those that Claude Code 2.1.328 was seen to print, and a few that its own schema names. What is
unknown, or has fields of unexpected types, changes nothing and is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from claudine_mcp.core.models import JSON
from claudine_mcp.workloads import claude_fields as fields
from claudine_mcp.workloads.claude_jobs import follow_job, list_background
from claudine_mcp.workloads.claude_plan import apply_plan, planned
from claudine_mcp.workloads.claude_result import deny, end_turn
from claudine_mcp.workloads.claude_state import (
    ERROR_CHARS,
    MAX_CALLS,
    MAX_MESSAGES,
    MAX_TOOLS,
    Denial,
    Phase,
    RateLimit,
    Retry,
    StreamState,
    ToolCall,
)

POLLING_TOOLS: Final = frozenset(
    {"BashOutput", "TaskOutput", "TaskGet", "TaskList", "TaskStatus", "TaskLogs", "TaskMetrics"}
    | {"ListTasks", "SystemStatus", "WaitForEvents"}
)
"""Tools of Claude Code and of this server that ask how something gets on: to call them again is what they are for."""
LONGEST_DELAY_S: Final = 30 * 86_400
"""No request is sent again later than that; what says so is not to be believed."""


def fold(state: StreamState, message: JSON, at: float) -> None:
    """Take a message into the state; `at` is when it was read."""
    state.lines += 1
    state.read_at = at
    kind, subtype = message.get("type"), message.get("subtype")
    key = f"system/{subtype}" if kind == "system" else kind
    handler = _HANDLERS.get(key) if isinstance(key, str) else None
    if handler is None:
        return
    if not state.session_id:
        state.session_id = fields.word(message.get("session_id"))
    handler(state, message)
    if key not in _NO_PROGRESS:
        state.active_at = at
    settle(state, at)


def stream_on(state: StreamState, at: float) -> None:
    """Take note that the model's answer is arriving."""
    state.is_turn_open = True
    state.retry = None
    state.read_at = state.active_at = at
    settle(state, at)


def finish_named(state: StreamState, texts: Iterable[bytes], at: float) -> None:
    """End the tools whose ids occur, in quotes, in what is left of a line that is too long to be read."""
    for call in list(state.tools.values()):
        name = f'"{call.id}"'.encode()
        if any(name in part for part in texts):
            _finish(state, call.id)
    state.read_at = state.active_at = at
    settle(state, at)


def settle(state: StreamState, at: float) -> None:
    """Say which phase follows from the rest of the state, and since when."""
    phase = _phase(state)
    if phase is not state.phase or state.phase_since is None:
        state.phase, state.phase_since = phase, at


def _phase(state: StreamState) -> Phase:
    if not state.is_turn_open:
        over = Phase.BACKGROUND if state.background else Phase.RESULT
        return over if state.results else Phase.STARTING
    if state.rate_limit or (state.retry and state.retry.is_for_limit):
        return Phase.RATE_LIMITED
    if state.retry:
        return Phase.RETRYING
    return Phase.TOOL if state.tools and state.running_tools else Phase.MODEL


# -- the conversation -------------------------------------------------------------------------------------


def _assistant(state: StreamState, message: JSON) -> None:
    answer = fields.mapping(message.get("message"))
    message_id = fields.word(answer.get("id"))
    parent = fields.word(message.get("parent_tool_use_id")) or None
    if parent is None:
        state.is_turn_open = True
        state.retry = None
        if message.get("is_api_error_message") is True:
            state.error = fields.word(message.get("error"))
        else:
            state.error = ""
            _answered(state, message_id)
    for item in fields.items(answer.get("content")):
        block = fields.mapping(item)
        if block.get("type") == "tool_use":
            _start(state, block, message_id, parent)


def _answered(state: StreamState, message_id: str) -> None:
    state.retries = 0
    state.rate_limit = None
    if message_id != state.message_id:
        # The model was asked again, so whatever it had called before has answered, even if that was not read.
        for call in state.running_tools:
            _finish(state, call.id)
        state.turns += 1
        state.message_id = message_id


def _start(state: StreamState, block: JSON, message_id: str, parent: str | None) -> None:
    call_id, name = fields.word(block.get("id")), fields.word(block.get("name"))
    if not call_id:
        return
    tool_input = block.get("input")
    summary, todos = fields.tool_summary(tool_input), planned(name, tool_input)
    call = state.tools[call_id] = ToolCall(call_id, name, summary, state.read_at, message_id, parent, todos)
    if len(state.tools) > MAX_TOOLS:
        del state.tools[next(iter(state.tools))]
    state.last_tool = call.label
    if name.rpartition("__")[2] not in POLLING_TOOLS:
        state.recent_calls.append(fields.call_hash(name, tool_input))
        del state.recent_calls[:-MAX_CALLS]


def _finish(state: StreamState, call_id: str) -> ToolCall | None:
    """Forget a call, and those that its subagent has made."""
    call = state.tools.pop(call_id, None)
    if call:
        state.last_tool = call.label
    if call and state.tools:
        for other in list(state.tools.values()):
            if other.parent_id == call_id:
                _finish(state, other.id)
    return call


def _user(state: StreamState, message: JSON) -> None:
    if not message.get("parent_tool_use_id"):
        state.is_turn_open = True
        state.retry = None
    replayed = fields.word(message.get("uuid")) if message.get("isReplay") is True else ""
    if replayed and replayed not in state.messages:
        _note_message(state, replayed, "started")  # older versions say nothing else of a message
    for item in fields.items(fields.mapping(message.get("message")).get("content")):
        block = fields.mapping(item)
        if block.get("type") != "tool_result":
            continue
        call = _finish(state, fields.word(block.get("tool_use_id")))
        if call is None:
            continue
        if block.get("is_error") is not True:
            apply_plan(state, call, message.get("tool_use_result"), block.get("content"))
        elif _was_refused(message, call):
            reason = fields.one_line(fields.whole_text(block.get("content")), ERROR_CHARS)
            deny(state, Denial(call.name, call.summary, reason, call.id))


def _was_refused(message: JSON, call: ToolCall) -> bool:
    metas = [fields.mapping(item) for item in fields.items(message.get("tool_result_meta"))]
    return any(
        fields.mapping(meta.get("permission_decision")).get("decision") == "reject"
        for meta in metas
        if meta.get("id") == call.id
    )


def _permission_denied(state: StreamState, message: JSON) -> None:
    call_id = fields.word(message.get("tool_use_id"))
    call = state.tools.get(call_id)
    summary = call.summary if call else ""
    reason = fields.one_line(message.get("message"), ERROR_CHARS)
    deny(state, Denial(fields.word(message.get("tool_name")), summary, reason, call_id))


def _stream_event(state: StreamState, _message: JSON) -> None:
    stream_on(state, state.read_at)


def _thinking(state: StreamState, _message: JSON) -> None:
    state.retry = None


# -- the API ----------------------------------------------------------------------------------------------


def _retry(state: StreamState, message: JSON) -> None:
    state.is_turn_open = True
    state.retries = fields.count(message.get("attempt"))
    _wait(state, message, message.get("error"))


def _wait(state: StreamState, message: JSON, error: Any) -> None:
    delay_s = max(fields.number(message.get("retry_delay_ms")) or 0.0, 0.0) / 1000
    delay_s = min(delay_s, LONGEST_DELAY_S)
    state.retry = Retry(
        attempt=fields.count(message.get("attempt")),
        max_retries=fields.count(message.get("max_retries")),
        until=state.read_at + delay_s,
        error_status=fields.integer(message.get("error_status")),
        error=fields.word(error),
        since=state.retry.since if state.retry else state.read_at,
    )


def _tool_progress(state: StreamState, message: JSON) -> None:
    """A heartbeat; or word of a subagent whose request is sent again."""
    if retry := fields.mapping(message.get("subagent_retry")):
        _wait(state, retry, retry.get("error_category"))


def _rate_limit(state: StreamState, message: JSON) -> None:
    info = fields.mapping(message.get("rate_limit_info"))
    if info.get("status") == "rejected" and info.get("isUsingOverage") is not True:
        resets_at = fields.epoch(info.get("resetsAt"))
        state.rate_limit = RateLimit(fields.word(info.get("rateLimitType")), resets_at, state.read_at)
    elif info.get("status") in {"allowed", "allowed_warning"}:
        state.rate_limit = None


# -- the session ------------------------------------------------------------------------------------------


def _init(state: StreamState, message: JSON) -> None:
    state.session_id = fields.word(message.get("session_id")) or state.session_id
    state.model = fields.word(message.get("model"))
    state.cwd = fields.text(message.get("cwd"), ERROR_CHARS)
    state.permission_mode = fields.word(message.get("permissionMode"))
    state.claude_version = fields.word(message.get("claude_code_version"))
    state.is_turn_open = True
    state.retry = None


def _status(state: StreamState, message: JSON) -> None:
    state.is_compacting = message.get("status") == "compacting"
    state.permission_mode = fields.word(message.get("permissionMode")) or state.permission_mode


def _compacted(state: StreamState, _message: JSON) -> None:
    state.is_compacting = False


def _new_session(state: StreamState, message: JSON) -> None:
    state.session_id = fields.word(message.get("new_conversation_id")) or state.session_id


_Handler = Callable[[StreamState, JSON], None]


def _command_lifecycle(state: StreamState, message: JSON) -> None:
    """A message that we sent was queued, is being answered, or was: by the identifier that we gave it."""
    identifier, step = fields.word(message.get("command_uuid")), fields.word(message.get("state"))
    if identifier and step:
        _note_message(state, identifier, step)


def _note_message(state: StreamState, identifier: str, step: str) -> None:
    state.messages.pop(identifier, None)
    state.messages[identifier] = step
    if len(state.messages) > MAX_MESSAGES:
        oldest = next(iter(state.messages))
        # What still waits is forgotten last.
        del state.messages[next((key for key, is_at in state.messages.items() if is_at != "queued"), oldest)]


_HANDLERS: Final[dict[str, _Handler]] = {
    "command_lifecycle": _command_lifecycle,
    "assistant": _assistant,
    "user": _user,
    "result": end_turn,
    "stream_event": _stream_event,
    "tool_progress": _tool_progress,
    "rate_limit_event": _rate_limit,
    "conversation_reset": _new_session,
    "system/init": _init,
    "system/api_retry": _retry,
    "system/status": _status,
    "system/compact_boundary": _compacted,
    "system/thinking_tokens": _thinking,
    "system/permission_denied": _permission_denied,
    "system/task_started": follow_job,
    "system/task_progress": follow_job,
    "system/task_updated": follow_job,
    "system/task_notification": follow_job,
    "system/background_tasks_changed": list_background,
}

_NO_PROGRESS: Final = frozenset({"tool_progress", "rate_limit_event", "system/api_retry"})
"""Messages that come although, or because, nothing gets on."""
