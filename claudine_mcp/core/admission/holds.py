"""What holds a queued task, in words. A hold is a JSON object: its `rule`, and the numbers that it was held by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from claudine_mcp.core.models import JSON
from claudine_mcp.core.units import format_time, human_size

GO_ON: Final = "PauseQueue(paused=false)"
"""What ends a pause of the queue."""


def is_in_line(hold: JSON | None) -> bool:
    """Whether a task waits for nothing but its turn; `hold` as for `describe_hold`."""
    return hold is None or hold["rule"] in {"softCap", "hardCap"}


def describe_hold(hold: JSON | None) -> str:
    """Say in words what holds a task; `hold` is what `decide` gave, None before it was looked at."""
    if hold is None:
        return "it was just queued; the supervisor has not looked at it yet"
    return _WORDS[hold["rule"]](hold)


def _say_paused(hold: JSON) -> str:
    by, reason = hold.get("by"), hold.get("reason")
    who = "" if by is None else f" by {by}"
    why = "" if reason is None else f": {reason}"
    return f"the queue is paused since {format_time(hold['since'])}{who}{why}; {GO_ON} lets it go on"


def _say_dependency(hold: JSON) -> str:
    ids: list[str] = hold["taskIds"]
    return f"waits for {'task' if len(ids) == 1 else 'tasks'} {', '.join(ids)} to end"


def _say_cap(hold: JSON) -> str:
    name = "limits.hardMaxConcurrent" if hold["rule"] == "hardCap" else "limits.softMaxConcurrent"
    return f"{hold['cap']} tasks are active, which is as many as may be ({name})"


def _say_protective(hold: JSON) -> str:
    return (
        f"protective mode starts nothing while memory is short: {human_size(hold['available'])} were available, "
        f"{human_size(hold['reserve'])} are to be kept (limits.systemMemoryReserve)"
    )


def _say_budget(hold: JSON) -> str:
    return (
        f"spent {hold['spent']:.2f} of {hold['budget']:.2f} USD today; goes on at 00:00, or when "
        "scheduling.dailyBudgetUsd is raised"
    )


_WORDS: Mapping[str, Callable[[JSON], str]] = MappingProxyType(
    {
        "paused": _say_paused,
        "dependency": _say_dependency,
        "session": lambda hold: (
            f"waits for task {hold['taskIds'][0]}, which is in the same Claude Code session"
        ),
        "notBefore": lambda _: "waits for its time (notBefore)",
        "requeued": lambda hold: f"goes on by itself: {hold['why']}",
        "apiLimited": lambda hold: f"the quota of Claude Code is gone: {hold['why']}",
        "dailyBudget": _say_budget,
        "protective": _say_protective,
        "softCap": _say_cap,
        "hardCap": _say_cap,
    }
)
