"""How far a run of Claude Code is, by what it keeps of that itself."""

from __future__ import annotations

from typing import Final

from claudine_mcp.core.progress.model import ACTIVITY, PHASE_CHARS, TODOS, TURNS, Progress, percentage
from claudine_mcp.core.units import printable
from claudine_mcp.workloads.claude_state import Phase, StreamState

_COMPLETED: Final = "completed"
_IN_PROGRESS: Final = "in_progress"
_WORDS: Final = {
    Phase.MODEL: "waiting for the model",
    Phase.TOOL: "running a tool",
    Phase.RETRYING: "waiting to ask the API again",
    Phase.RATE_LIMITED: "waiting for a rate limit to pass",
    Phase.RESULT: "has answered",
    Phase.BACKGROUND: "work in the background",
}


def progress_of(state: StreamState, max_turns: int | None) -> Progress | None:
    """Give how far a run is; None while it has not begun.

    By its list of what is to be done; without one by its turns, of which it may take `max_turns` for a message.
    """
    if state.todos:
        done, total = sum(todo.status == _COMPLETED for todo in state.todos), len(state.todos)
        is_over = done == total
        phase = next(
            (todo.active_text or todo.text for todo in state.todos if todo.status == _IN_PROGRESS), None
        )
        return Progress(
            TODOS,
            percentage(done, total),
            done=float(done),
            total=float(total),
            phase=_line(phase),
            is_of_phase=is_over,
        )
    activity = _activity(state)
    if activity is None:
        return None
    # Beyond the first result there was another message, and the count is that of several.
    if max_turns is None or state.results or not 0 < state.turns <= max_turns:
        return Progress(ACTIVITY, phase=activity)
    return Progress(
        TURNS,
        percentage(state.turns, max_turns),
        done=float(state.turns),
        total=float(max_turns),
        phase=activity,
    )


def _activity(state: StreamState) -> str | None:
    """Give what it does: the tool that it waits for, or what else."""
    if state.phase is Phase.TOOL and state.running_tools:
        return _line(state.running_tools[0].label)
    return _WORDS.get(state.phase)


def _line(text: str | None) -> str | None:
    return printable(" ".join(text.split()))[:PHASE_CHARS] or None if text else None
