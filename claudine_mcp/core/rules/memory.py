"""Rules about a run's memory."""

from __future__ import annotations

from typing import Final

from claudine_mcp.core.findings import UNDECIDED, Finding, Verdict
from claudine_mcp.core.history.run import History
from claudine_mcp.core.history.trend import Growth
from claudine_mcp.core.models import JSON, Severity
from claudine_mcp.core.rules.around import Around
from claudine_mcp.core.rules.limits import RunLimits

HIGH_MEMORY: Final = "task:high-memory"
CRITICAL_MEMORY: Final = "task:critical-memory"
MEMORY_LEAK: Final = "task:memory-leak"

BACK: Final = 0.9
"""The share of a limit below which memory must fall for the finding to clear."""
REACH_PER_HOUR: Final = 1.5
LONGEST_REACH: Final = 10.0
SHORTEST_S: Final = 1000.0
FARTHEST_S: Final = 86_400.0
LOADED_S: Final = 900.0
NOTED_S: Final = 1500.0
"""How far a line is extended: one and a half times its length for each hour that it has been straight, at the most ten
times, never by more than a day, and not at all if it is short. What is loaded is there within minutes, and what fills
up does so within the first hours; what has grown at one pace for six will not stop by itself. After so many seconds of
growth that would reach a limit within a day it is noted; a note disturbs nobody. Above its limit nothing is extended;
but what grows for less than a quarter of an hour may be loaded, and that it is too much `high-memory` has said."""


def high_memory(limits: RunLimits, history: History, _around: Around, _now: float) -> Verdict:
    """More memory than `maxMemoryPerTask`."""
    limit, memory = limits.max_memory_bytes, history.memory
    if memory.now_bytes <= BACK * limit:
        return None
    if memory.now_bytes <= limit or not memory.is_sure:
        return UNDECIDED
    data: JSON = {"usage": memory.now_bytes, "threshold": limit}
    return Finding(HIGH_MEMORY, Severity.WARNING, data)


def critical_memory(limits: RunLimits, history: History, around: Around, _now: float) -> Verdict:
    """More memory than `criticalMemory`; or the machine's memory runs out, and it is this run that takes it."""
    limit, memory = limits.critical_memory_bytes, history.memory
    if memory.now_bytes > limit and memory.is_sure:
        data: JSON = {"usage": memory.now_bytes, "threshold": limit, "cause": "limit"}
    elif around.culprit is history:
        data = {"usage": memory.now_bytes, "cause": around.short_of_memory}
        if around.machine.sample is not None:
            data["available"] = around.machine.sample.available_bytes
        if around.machine.exhausted_in_s is not None:
            data["exhaustedInSeconds"] = round(around.machine.exhausted_in_s)
    elif memory.now_bytes > BACK * limit or around.short_of_memory:
        return UNDECIDED
    else:
        return None
    growth = history.marks.growth()
    if growth > 0:
        data["bytesPerMinute"] = round(60 * growth)
    return Finding(CRITICAL_MEMORY, Severity.CRITICAL, data)


def memory_leak(limits: RunLimits, history: History, around: Around, _now: float) -> Verdict:
    """Memory has been growing steadily: a note, and a warning once it is above its limit or will be before long."""
    trend, memory = history.trend, history.memory.now_bytes
    if not trend.growths:
        return None if trend.has_stopped else UNDECIDED
    name, room = _next_limit(limits, memory, around)
    noted: Growth | None = None
    for growth in trend.growths:
        hits_in_s = room / growth.bytes_per_s
        is_above = memory > limits.max_memory_bytes
        if (is_above and growth.span_s >= LOADED_S) or hits_in_s <= reach_s(growth):
            return _leak(memory, growth, name, room, Severity.WARNING)
        if is_above or (growth.span_s >= NOTED_S and hits_in_s <= FARTHEST_S):
            noted = growth
    return UNDECIDED if noted is None else _leak(memory, noted, name, room, Severity.NOTICE)


def _leak(memory: int, growth: Growth, limit: str, room: float, severity: Severity) -> Finding:
    data: JSON = {
        "usage": memory,
        "from": round(growth.start_bytes),
        "growingForSeconds": round(growth.span_s),
        "bytesPerMinute": round(60 * growth.bytes_per_s),
        "limit": limit,
        "threshold": round(memory + room),
        "hitsInSeconds": round(room / growth.bytes_per_s),
    }
    return Finding(MEMORY_LEAK, severity, data)


def reach_s(growth: Growth) -> float:
    """Give for how long it may be assumed that growth goes on."""
    if growth.span_s < SHORTEST_S:
        return 0.0
    times = min(LONGEST_REACH, REACH_PER_HOUR * growth.span_s / 3600)
    return min(FARTHEST_S, growth.span_s * times)


def _next_limit(limits: RunLimits, memory: int, around: Around) -> tuple[str, float]:
    """Give what growing memory will pass next, and how many bytes are left until then."""
    rooms: list[tuple[float, str]] = [
        (limit - memory, name)
        for name, limit in (
            ("maxMemoryPerTask", limits.max_memory_bytes),
            ("criticalMemory", limits.critical_memory_bytes),
        )
        if memory < limit
    ]
    if around.machine.sample is not None:
        rooms.append((around.machine.sample.available_bytes, "available"))
    if not rooms:
        return "criticalMemory", 0.0
    room, name = min(rooms)
    return name, room
