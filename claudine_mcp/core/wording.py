"""Findings in the words of a person, with the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from claudine_mcp.core.findings import Change, Finding
from claudine_mcp.core.models import JSON
from claudine_mcp.core.rules.course import OVERDUE, REPEATING, STUCK_PHASE
from claudine_mcp.core.rules.machine import API_LIMITED, CONCURRENCY, OVERLOAD
from claudine_mcp.core.rules.memory import CRITICAL_MEMORY, HIGH_MEMORY, MEMORY_LEAK
from claudine_mcp.core.rules.silence import DEADLOCKED, STALLED
from claudine_mcp.core.rules.use import DISK_IO, FD_LIMIT, RUNAWAY_CPU
from claudine_mcp.core.units import format_time, human_duration, human_size

_Data = Mapping[str, Any]
NAMED: Final = 5
"""Tasks that one sentence names."""


def say(finding: Finding, name_of: Callable[[str], str] = str) -> str:
    """Say what holds: of a run the rest of a sentence that begins with its name, else a whole sentence.

    Args:
        finding: what holds.
        name_of: gives what a person calls a run, by its id.
    """
    tasks: list[JSON] = finding.data.get("tasks") or []
    named = [
        name_of(item["run"]) + (f" {human_size(item['usage'])}" if "usage" in item else "")
        for item in tasks[:NAMED]
    ]
    if len(tasks) > NAMED:
        named.append(f"and {len(tasks) - NAMED} more")
    return _SAID[finding.type](finding.data) + (f": {', '.join(named)}" if named else "")


def say_cleared(change: Change) -> str:
    """Say that something holds no more, and for how long it did; otherwise like `say`."""
    return f"{_OVER[change.finding.type]}; it was for {human_duration(change.held_s)}"


# -- silence ----------------------------------------------------------------------------------------------


def _stalled(data: _Data) -> str:
    why: str = data["why"]
    silent = human_duration(data["stalledFor"] / 1000)
    if why == "permission":
        return f"has been waiting for {silent} for leave to use {data['asks']}"
    if why == "after-result":
        return f"gave its result {silent} ago, and has not ended"
    if why == "stopped":
        count, all_of = data["stopped"], data["processes"]
        which = "all its processes" if count >= all_of else f"{count} of its {all_of} processes"
        return f"was stopped by someone else (SIGSTOP): {which}. It goes on when they get SIGCONT"
    return f"has been silent for {silent}: {_reason(why, data)}"


def _reason(why: str, data: _Data) -> str:
    cpu = f"{data['cpuPercent']:g} % of a processor"
    reason = {
        "model": f"it waits for the model's answer, using {cpu}",
        "busy": f"it is at work, using {cpu}",
        "unknown": f"it wakes from time to time, but does hardly anything ({cpu})",
    }.get(why)
    if reason is not None:
        return reason
    if why == "tool":
        tools = ", ".join(data["tools"]) or "a tool"
        since = f" for {human_duration(data['runningSeconds'])}" if "runningSeconds" in data else ""
        return f"{tools} has been running{since}, using {cpu}"
    if why == "background":
        return (
            f"its turn is over, and it waits for {', '.join(data['background']) or 'work in the background'}"
        )
    if why == "blocked":
        return f"nothing moves in it; it waits for {', '.join(data.get('waitsFor', ())) or 'something'}"
    what = "its requests are limited" if why == "rate-limit" else "the API does not serve it"
    error = f" ({data['error']})" if data["error"] else ""
    if not data["attempts"]:
        return f"{what}{error}" + (f" until {format_time(data['until'])}" if "until" in data else "")
    until = f", next try at {format_time(data['until'])}" if "until" in data else ""
    return f"{what}{error}, attempt {data['attempt']} of {data['attempts']}{until}"


def _deadlocked(data: _Data) -> str:
    still = human_duration(data["stillSeconds"])
    waits = f"; its threads wait for {', '.join(data['waitsFor'])}" if "waitsFor" in data else ""
    return f"has hung for {still}: no processor time, no context switch, no input or output{waits}"


# -- use --------------------------------------------------------------------------------------------------


def _high_memory(data: _Data) -> str:
    return f"takes {human_size(data['usage'])} of memory, more than {human_size(data['threshold'])} (maxMemoryPerTask)"


def _critical_memory(data: _Data) -> str:
    takes = f"takes {human_size(data['usage'])} of memory"
    growth = f", growing by {human_size(data['bytesPerMinute'])} a minute" if "bytesPerMinute" in data else ""
    if data["cause"] == "limit":
        return f"{takes}{growth}, more than {human_size(data['threshold'])} (criticalMemory)"
    left = f"the machine has {human_size(data['available'])} left" if "available" in data else "it runs short"
    if data["cause"] == "exhaustion" and "exhaustedInSeconds" in data:
        left += f", for {human_duration(data['exhaustedInSeconds'])} at this pace"
    return f"{takes}{growth}; {left}"


def _memory_leak(data: _Data) -> str:
    what = "all that is available" if data["limit"] == "available" else data["limit"]
    return (
        f"has been growing by {human_size(data['bytesPerMinute'])} a minute for "
        f"{human_duration(data['growingForSeconds'])}, from {human_size(data['from'])} to "
        f"{human_size(data['usage'])} of memory. It will pass {what} ({human_size(data['threshold'])}) in about "
        f"{human_duration(data['hitsInSeconds'])}"
    )


def _runaway_cpu(data: _Data) -> str:
    spent = human_duration(data["barrenSeconds"])
    return f"has used {data['cpuPercent']} % of a processor for {spent} without output or progress"


def _fd_limit(data: _Data) -> str:
    return (
        f"has {data['usage']} files open in one process, more than {data['threshold']} (maxFileDescriptors)"
    )


def _disk_io(data: _Data) -> str:
    writes = f"writes {human_size(data['writtenBytesPerSecond'])} a second"
    if data["cause"] == "full":
        return f"{writes}: the disk is full in {human_duration(data['fullInSeconds'])}"
    if data["cause"] == "pressure":
        reads = f"reads {human_size(data['readBytesPerSecond'])} and {writes}"
        return f"{reads}; everything waits for the disk {data['blockedPercent']} % of the time"
    return f"{writes} for {data['minutes']} minutes, more than {human_size(data['threshold'])} (maxDiskRate)"


# -- course -----------------------------------------------------------------------------------------------


def _stuck_phase(data: _Data) -> str:
    at = f"{data['percent']:g} %" if "percent" in data else ""
    where = " ".join(part for part in (at, f'"{data["phase"]}"' if data["phase"] else "") if part)
    before, longest = human_duration(data["stuckSeconds"]), human_duration(data["longestSeconds"])
    return f"has been at {where} for {before}; nothing before took longer than {longest}"


def _repeating(data: _Data) -> str:
    return f"has called the same tools {data['times']} times in a row, last {data['tool'] or 'one without a name'}"


def _overdue(data: _Data) -> str:
    return f"runs longer than its timeout of {human_duration(data['timeout'] / 1000)}"


# -- the machine ------------------------------------------------------------------------------------------


def _overload(data: _Data) -> str:
    cause = data["cause"]
    if cause == "cpu":
        return (
            f"{data['load']:.0f} processes want to run, and the machine has {data['processors']:g} processors"
        )
    if cause == "disk":
        return f"the disk of the state directory has {human_size(data['free'])} left"
    left = f"the machine has {human_size(data['available'])} of {human_size(data['total'])} of memory left"
    if cause == "exhaustion":
        return f"{left}, for {human_duration(data['exhaustedInSeconds'])} at this pace"
    if cause == "pressure":
        return f"{left}, and everything waits for memory {data['blockedPercent']} % of the time"
    return f"{left}, less than {human_size(data['reserve'])} (systemMemoryReserve)"


def _concurrency(data: _Data) -> str:
    return f"{data['active']} tasks are active, more than {data['soft']} (softMaxConcurrent)"


def _api_limited(data: _Data) -> str:
    count = len(data["tasks"])
    what = "limits the requests of" if data["why"] == "rate-limit" else "does not serve"
    errors = f" ({', '.join(data['errors'])})" if data["errors"] else ""
    until = f" until {format_time(data['until'])}" if "until" in data and data["why"] == "rate-limit" else ""
    return f"the API {what} {count} tasks{errors}{until}"


_SAID: Final[Mapping[str, Callable[[_Data], str]]] = {
    STALLED: _stalled,
    DEADLOCKED: _deadlocked,
    HIGH_MEMORY: _high_memory,
    CRITICAL_MEMORY: _critical_memory,
    MEMORY_LEAK: _memory_leak,
    RUNAWAY_CPU: _runaway_cpu,
    FD_LIMIT: _fd_limit,
    DISK_IO: _disk_io,
    STUCK_PHASE: _stuck_phase,
    REPEATING: _repeating,
    OVERDUE: _overdue,
    OVERLOAD: _overload,
    CONCURRENCY: _concurrency,
    API_LIMITED: _api_limited,
}

TYPES: Final = frozenset(_SAID)
"""Every type of finding that there is."""

_OVER: Final[Mapping[str, str]] = {
    STALLED: "shows life again",
    DEADLOCKED: "moves again",
    HIGH_MEMORY: "takes less memory than maxMemoryPerTask again",
    CRITICAL_MEMORY: "is no longer critical in its memory",
    MEMORY_LEAK: "has stopped growing",
    RUNAWAY_CPU: "gets on again, or rests",
    FD_LIMIT: "has fewer files open than maxFileDescriptors again",
    DISK_IO: "writes less again",
    STUCK_PHASE: "gets on again",
    REPEATING: "does something else again",
    OVERDUE: "is within its timeout again",
    OVERLOAD: "the machine is no longer overloaded",
    CONCURRENCY: "no more tasks are active than softMaxConcurrent",
    API_LIMITED: "the API serves the tasks again",
}
