"""Rules about the machine, and about what many runs have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from claudine_mcp.core.disk import least_free_bytes
from claudine_mcp.core.findings import UNDECIDED, Finding, Verdict
from claudine_mcp.core.history.machine import MachineHistory
from claudine_mcp.core.history.marks import MINUTE_S
from claudine_mcp.core.history.run import RETRYING, History
from claudine_mcp.core.models import JSON, Severity
from claudine_mcp.core.rules.around import Around
from claudine_mcp.core.rules.limits import MachineLimits
from claudine_mcp.core.samples import SystemSample

OVERLOAD: Final = "system:overload"
CONCURRENCY: Final = "limit:concurrency"
API_LIMITED: Final = "api:limited"

EXHAUSTED_IN_S: Final = 120.0
ROOM: Final = 1.25
"""Times the reserve that must be available for memory to be no longer short."""
BLOCKED_PER_CENT: Final = 60.0
"""Of the last 10 s in which everything waited for memory [systemd-oomd]."""
LOAD: Final = 4.0
"""Runnable processes a processor, as a mean over a minute, by which each waits most of its time."""
BACK: Final = 0.5
MOST_NAMED: Final = 5

BLAME: Final = 0.5
"""The share that makes one run the culprit: of what the machine loses, or of what is used in all."""
LEAST_BLAME: Final = 0.1
"""Of the machine's memory: a run that takes less has not used it up."""
LEAST_FALL: Final = 0.01
FAST_GROWTH: Final = 0.05
"""Of the machine's memory, within a minute: what must be lost for it to matter who takes it; and what a run must grow
by to be to blame while it is still small."""
LEAST_NAMED: Final = 0.05
LEAST_NAMED_CPU: Final = 0.1
"""Of the machine's memory, and processors: runs that use less are not named where the machine is overloaded."""

SEVERAL: Final = 2
LIMITED_S: Final = 30.0
"""From two runs on that the API has been refusing for so long, it is the API, for all that it refuses."""


def short_of_memory(limits: MachineLimits, machine: MachineHistory) -> str:
    """Give why memory is in danger: "exhaustion", "reserve", or "" if it is not."""
    sample = machine.sample
    if sample is None:
        return ""
    exhausted_in_s = machine.exhausted_in_s
    if exhausted_in_s is not None and exhausted_in_s < EXHAUSTED_IN_S and machine.is_below_its_habit():
        return "exhaustion"
    return "reserve" if sample.available_bytes < limits.reserve_bytes else ""


def culprit(machine: MachineHistory, histories: Mapping[str, History]) -> History | None:
    """Give the one run to blame for it that memory is short; None if it is none, or several."""
    if machine.sample is None or not histories:
        return None
    total = machine.sample.total_bytes
    fastest = max(histories.values(), key=lambda history: history.marks.growth())
    growth, fall = fastest.marks.growth(), machine.fall_rate()
    is_large = fastest.memory.now_bytes >= LEAST_BLAME * total or growth * MINUTE_S >= FAST_GROWTH * total
    if fall * MINUTE_S >= LEAST_FALL * total and growth >= BLAME * fall and is_large:
        return fastest
    largest = max(histories.values(), key=lambda history: history.memory.now_bytes)
    used = total - machine.sample.available_bytes
    least = max(BLAME * used, LEAST_BLAME * total)
    return largest if largest.memory.now_bytes > least else None


def overload_memory(limits: MachineLimits, around: Around, histories: Mapping[str, History]) -> Verdict:
    """Available memory is below `systemMemoryReserve`, or will be used up within two minutes."""
    sample = around.machine.sample
    if sample is None:
        return UNDECIDED
    blocked = 0.0 if sample.pressure is None else sample.pressure.memory_full
    cause = around.short_of_memory or ("pressure" if blocked >= BLOCKED_PER_CENT else "")
    if not cause:
        is_well = sample.available_bytes >= ROOM * limits.reserve_bytes and blocked < BLOCKED_PER_CENT * BACK
        return None if is_well else UNDECIDED
    if around.culprit is not None:
        return UNDECIDED  # its own critical-memory says so
    data: JSON = {
        "cause": cause,
        "available": sample.available_bytes,
        "total": sample.total_bytes,
        "reserve": limits.reserve_bytes,
        "tasks": _largest(sample, histories),
    }
    if around.machine.exhausted_in_s is not None:
        data["exhaustedInSeconds"] = round(around.machine.exhausted_in_s)
    if cause == "pressure":
        data["blockedPercent"] = round(blocked)
    return Finding(OVERLOAD, Severity.CRITICAL, data)


def _largest(sample: SystemSample, histories: Mapping[str, History]) -> list[JSON]:
    """Name those that take most: all that matter, or whichever are there if together they do."""
    ours = sum(history.memory.now_bytes for history in histories.values())
    matter = ours >= BLAME * (sample.total_bytes - sample.available_bytes)
    least = 0.0 if matter else LEAST_NAMED * sample.total_bytes
    largest = sorted(histories.items(), key=lambda item: -item[1].memory.now_bytes)[:MOST_NAMED]
    return [
        {
            "run": run_id,
            "usage": history.memory.now_bytes,
            "bytesPerMinute": round(60 * history.marks.growth()),
        }
        for run_id, history in largest
        if history.memory.now_bytes >= least
    ]


def overload_disk(_limits: MachineLimits, around: Around, _histories: Mapping[str, History]) -> Verdict:
    """The state directory's disk is full, or as good as."""
    sample = around.machine.sample
    if sample is None:
        return UNDECIDED
    least = least_free_bytes(sample.disk_total_bytes)
    if sample.disk_free_bytes >= least:
        return None if sample.disk_free_bytes >= ROOM * least else UNDECIDED
    return Finding(OVERLOAD, Severity.CRITICAL, {"cause": "disk", "free": sample.disk_free_bytes})


def overload_cpu(_limits: MachineLimits, around: Around, histories: Mapping[str, History]) -> Verdict:
    """Far more processes want to run than there are processors."""
    sample = around.machine.sample
    if sample is None:
        return UNDECIDED
    cpus = sample.processors if sample.cpus is None else sample.cpus
    most = LOAD * cpus
    if sample.load <= most:
        return None if sample.load <= BACK * most else UNDECIDED
    busiest = sorted(histories.items(), key=lambda item: -item[1].cpu_rate)[:MOST_NAMED]
    data: JSON = {
        "cause": "cpu",
        "load": sample.load,
        "processors": cpus,
        "tasks": [
            {"run": run_id, "cpuPercent": round(100 * history.cpu_rate)}
            for run_id, history in busiest
            if history.cpu_rate >= LEAST_NAMED_CPU
        ],
    }
    return Finding(OVERLOAD, Severity.WARNING, data)


def concurrency(limits: MachineLimits, _around: Around, histories: Mapping[str, History]) -> Verdict:
    """More runs than `softMaxConcurrent`."""
    if len(histories) <= limits.soft_max_concurrent:
        return None
    data: JSON = {"active": len(histories), "soft": limits.soft_max_concurrent}
    return Finding(CONCURRENCY, Severity.WARNING, data)


def api_limited(_limits: MachineLimits, _around: Around, histories: Mapping[str, History]) -> Verdict:
    """The API refuses several runs at once: one cause, one finding."""
    refused = [(run_id, history) for run_id, history in histories.items() if history.doing == RETRYING]
    for_long = sum(history.clock_s - history.doing_s >= LIMITED_S for _, history in refused)
    if for_long < SEVERAL:
        return UNDECIDED if for_long else None
    limited = sum(history.activity.phase == "rate_limited" for _, history in refused)
    activities = [history.activity for _, history in refused]
    until = [activity.until for activity in activities if activity.until is not None]
    data: JSON = {
        "why": "rate-limit" if 2 * limited >= len(refused) else "overload",
        "tasks": [{"run": run_id} for run_id, _ in refused],
        "errors": sorted({activity.error for activity in activities if activity.error}),
    }
    if until:
        data["until"] = max(until)
    return Finding(API_LIMITED, Severity.WARNING, data)
