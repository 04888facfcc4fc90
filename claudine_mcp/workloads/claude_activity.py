"""What a run of Claude Code says of itself, as the rules want it."""

from __future__ import annotations

from typing import Final

from claudine_mcp.core.activity import Activity, RunningTool
from claudine_mcp.workloads.claude_state import StreamState

_DOING: Final = "in_progress"
_DONE: Final = "completed"


def activity(state: StreamState, *, permission: str = "") -> Activity:
    """Give what a run does.

    Args:
        state: what it has printed, as it was read with a clock of seconds since the epoch.
        permission: what it asks to be allowed, which its output does not tell.
    """
    done = sum(todo.status == _DONE for todo in state.todos)
    return Activity(
        phase=state.phase.value,
        active_at=state.active_at,
        since=state.phase_since,
        until=state.phase_until,
        tools=tuple(RunningTool(call.label, call.since) for call in state.running_tools),
        permission=permission,
        attempt=state.retry.attempt if state.retry else 0,
        attempts=state.retry.max_retries if state.retry else 0,
        error=state.retry.error if state.retry else "",
        background=tuple(job.description for job in state.background),
        calls=tuple(state.recent_calls),
        last_tool=state.last_tool,
        stage=next((todo.active_text or todo.text for todo in state.todos if todo.status == _DOING), ""),
        progress=100.0 * done / len(state.todos) if state.todos else None,
        has_pulse=True,
    )
