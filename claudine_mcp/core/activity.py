"""What a run says of itself, as far as the rules need to know; any workload can fill it in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunningTool:
    """A tool that was called and has not answered. `since` is in seconds since the epoch."""

    label: str
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """What a run is doing, by its own word. Times are seconds since the epoch; empty: it does not say.

    Make a new one when something has changed, and hand over the same object when nothing has.

    Attributes:
        phase: of a delegated Claude Code, as `workloads.claude_state.Phase` has them.
        active_at: when it last got on. Only that it changes matters. None: all that it prints is a sign of life.
        since: when the phase began.
        until: when the phase will end by itself: the next try, or the reset of a limit.
        tools: what it waits for.
        permission: what it asks to be allowed, in a few words; "" while it asks nothing.
        attempt: how often the request to the API was sent again, of `attempts` at most.
        error: why, in the API's words.
        background: what goes on apart from the conversation.
        calls: of the last tool calls, what tells equal ones, oldest first.
        last_tool: the last of them in words.
        stage: the part of the work that it is at: the item of its to-do list, the phase that it has reported.
        progress: how far it is, in any measure that grows.
        has_pulse: whether its main program wakes many times a second even when it waits, so that it hangs if it
            does not.
    """

    phase: str = ""
    active_at: float | None = None
    since: float | None = None
    until: float | None = None
    tools: tuple[RunningTool, ...] = ()
    permission: str = ""
    attempt: int = 0
    attempts: int = 0
    error: str = ""
    background: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    last_tool: str = ""
    stage: str = ""
    progress: float | None = None
    has_pulse: bool = False


SILENT = Activity()
"""That of a run which says nothing of itself."""
