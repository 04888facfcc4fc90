"""What holds a queued task, in words. A hold is a JSON object: its `rule`, and the numbers that it was held by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from claudine_mcp.core.models import JSON
from claudine_mcp.core.units import format_time, human_duration, human_size

GO_ON: Final = "PauseQueue(paused=false)"
"""What ends a pause of the queue."""
CAPS: Final = frozenset({"softCap", "hardCap"})
CONDITIONS: Final = frozenset({"cpu", "memory", "available", "files", "disk"})
"""Rules about the machine: what they go by changes without anything being told."""
IN_LINE: Final = frozenset({*CAPS, *CONDITIONS, "starts", "reserved", "backfill", "displaced"})
"""Rules that hold a task that waits for nothing but its turn, and for room."""
_MOST_DIGITS: Final = 6


def is_in_line(hold: JSON | None) -> bool:
    """Whether a task waits for nothing but its turn; `hold` as for `describe_hold`."""
    return hold is None or hold["rule"] in IN_LINE


def describe_hold(hold: JSON | None) -> str:
    """Say in words what holds a task; `hold` is what `decide` gave, None before it was looked at."""
    if hold is None:
        return "it was just queued; the supervisor has not looked at it yet"
    said = _WORDS[hold["rule"]](hold)
    return f"{said}; {_say_next(hold['next'])}" if "next" in hold else said


def per_cent(n_sigma: float) -> str:
    """Give the share of cases that stay below N standard deviations: 97.7 %, 99.9 %, 99.997 % for 2, 3, 4.

    It is that of one side of the normal distribution.
    """
    above = 50 * math.erfc(n_sigma / math.sqrt(2))
    digits = 1
    while digits < _MOST_DIGITS and above * 10**digits < 1:
        digits += 1
    return f"{min(100 - above, 100 - 10**-digits):.{digits}f} %"


def _say_next(found: JSON) -> str:
    low, high = human_duration(found["p50Seconds"]), human_duration(found["p90Seconds"])
    when = f"in {low} to {high}" if low != high else f"in {low}"
    if not found["p90Seconds"]:
        when = "any moment"
    return f"task {found['taskId']} is expected to end {when}"


def _say_paused(hold: JSON) -> str:
    who = f" by {hold['by']}" if "by" in hold else ""
    why = f": {hold['reason']}" if hold.get("reason") else ""
    return f"the queue is paused since {format_time(hold['since'])}{who}{why}; {GO_ON} lets it go on"


def _say_memory(hold: JSON) -> str:
    free = f"{human_size(hold['freeBytes'])} free" if hold["freeBytes"] > 0 else "none free"
    return (
        f"needs {human_size(hold['needBytes'])} at {per_cent(hold['sigma'])}, {free} above the reserve of "
        f"{human_size(hold['reserveBytes'])}"
    )


def _say_available(hold: JSON) -> str:
    growing = hold["growingBytes"]
    others = f", of which what just started takes {human_size(growing)} yet" if growing else ""
    return (
        f"needs {human_size(hold['needBytes'])} to begin with; {human_size(hold['availableBytes'])} are available"
        f"{others}, and {human_size(hold['reserveBytes'])} are to be kept (limits.systemMemoryReserve)"
    )


def _say_cpu(hold: JSON) -> str:
    most = f"{hold['maxLoad']:g} for each of {hold['processors']:g} processors (scheduling.maxLoad)"
    pressure = (
        f", and one waited for a processor in {hold['pressure']:.0f} % of the time"
        if "pressure" in hold
        else ""
    )
    return f"{hold['load']:g} processes want to run{pressure}; nothing more starts above {most}"


def _say_reserved(hold: JSON) -> str:
    ids = ", ".join(hold["reservationIds"])
    what = human_size(hold["bytes"]) if "bytes" in hold else f"{hold['slots']} slots"
    return f"{what} are kept free by {'reservation' if len(hold['reservationIds']) == 1 else 'reservations'} {ids}"


def _say_backfill(hold: JSON) -> str:
    if hold.get("isBehind"):
        return f"waits for those in front of it; the first is task {hold['taskId']}, which does not fit yet"
    return f"it would fit, but delay task {hold['taskId']}, which is in front of it"


def _say_dependency(hold: JSON) -> str:
    ids: list[str] = hold["taskIds"]
    return f"waits for {'task' if len(ids) == 1 else 'tasks'} {', '.join(ids)} to end"


def _say_cap(hold: JSON) -> str:
    name = "limits.hardMaxConcurrent" if hold["rule"] == "hardCap" else "limits.softMaxConcurrent"
    active = "1 task is" if hold["active"] == 1 else f"{hold['active']} tasks are"
    if "configured" in hold:
        return f"{active} active, {hold['cap']} may be just now, {hold['configured']} as a rule ({name})"
    most = "as many as may be" if hold["active"] == hold["cap"] else f"and {hold['cap']} may be"
    return f"{active} active, {most} ({name})"


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
        "starts": lambda _: "Claude Code is started one after another (scheduling.startSpacing)",
        "cpu": _say_cpu,
        "memory": _say_memory,
        "available": _say_available,
        "files": lambda hold: (
            f"the system has {hold['left']} file descriptors left, less than {hold['least']}"
        ),
        "disk": lambda hold: (
            f"the disk of the state directory has {human_size(hold['freeBytes'])} free, less than "
            f"{human_size(hold['leastBytes'])}"
        ),
        "reserved": _say_reserved,
        "displaced": lambda hold: (
            f"task {hold['taskId']}, which had to give way to a more important one, goes on before it"
        ),
        "backfill": _say_backfill,
    }
)
