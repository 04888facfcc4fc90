"""Rules about a run that says nothing, or in which nothing moves."""

from __future__ import annotations

from typing import Final

from claudine_mcp.core.findings import UNDECIDED, Finding, Verdict
from claudine_mcp.core.history.run import ASKING, RETRYING, History
from claudine_mcp.core.models import JSON, Severity
from claudine_mcp.core.rules.around import Around
from claudine_mcp.core.rules.limits import RunLimits
from claudine_mcp.core.rules.waits import Wait, is_deadlock, waits_of
from claudine_mcp.core.samples import TreeSample

STALLED: Final = "task:stalled"
DEADLOCKED: Final = "task:deadlocked"

BUSY_CPU: Final = 0.05
BUSY_CPU_MODEL: Final = 0.02
"""Processors in use by what is silent, but at work; waiting for the model takes less than 1 % (measured)."""
BUSY_DISK_BYTES: Final = 262_144
"""The same for the disk, within the last minute."""
BUSY_FOR: Final = 6.0
BUSY_FOR_MODEL: Final = 2.0
"""Times `stallThreshold` that being busy is enough, without a sign of work: files, processes, memory that moves."""
STILL_S: Final = 30.0
"""How long nothing may have moved in what is called blocked."""
STOPPED_S: Final = 10.0
PARTLY_STOPPED_S: Final = 60.0
"""How long all processes must be stopped, or some while the others rest; shells and debuggers stop theirs for less."""
AGAIN: Final = 1.5
"""How much longer than ever before a program must stand still that is no Claude Code: what waits for a condition with
a timeout sleeps where those sleep that wait for each other."""
SEVERAL_THREADS: Final = 2
"""A thread alone that waits for a lock may as well wait for a condition with a timeout."""
WORKED_CPU_S: Final = 1.0
"""Processor time by which one sees that a run has worked before it stood still."""

_WHY: Final = {
    ASKING: "permission",
    RETRYING: "overload",
    "model": "model",
    "tool": "tool",
    "result": "after-result",
    "background": "background",
}


def stalled(limits: RunLimits, history: History, around: Around, now: float) -> Verdict:
    """Silent for `stallThreshold`, or longer where the run is used to it; or stopped by someone else."""
    if history.suspended:
        return UNDECIDED
    sample, silent_s = history.sample, history.silent_s
    if history.stopped_s is not None and sample is not None:
        is_whole = sample.stopped >= sample.processes
        stopped_s = history.clock_s - history.stopped_s
        rests = (
            min(stopped_s, silent_s) >= PARTLY_STOPPED_S
            and history.is_use_known
            and history.cpu_rate < BUSY_CPU
        )
        if (is_whole and stopped_s >= STOPPED_S) or rests:
            return _finding(history, now, "stopped", Severity.WARNING)
    if silent_s < limits.stall_s:
        return None if history.has_spoken or history.is_whole else UNDECIDED
    if silent_s < history.usual_pause_s() or not history.is_use_known:
        return UNDECIDED
    why = why_silent(history)
    if around.is_api_limited and why in {"overload", "rate-limit"}:
        return UNDECIDED
    is_calm = why == "background" or (why in {"busy", "tool", "model"} and _is_at_work(limits, history))
    return _finding(history, now, why, Severity.NOTICE if is_calm else Severity.WARNING)


def _is_at_work(limits: RunLimits, history: History) -> bool:
    """Whether what is silent is busy, and not for so long that this means nothing any more."""
    times = BUSY_FOR_MODEL if history.doing == "model" else BUSY_FOR
    works_s = max(history.spoke_s, history.marks.wrote_s, history.marks.stirred_s)
    return is_busy(history) and history.clock_s - works_s < times * limits.stall_s


def why_silent(history: History) -> str:
    """Give why a run says nothing, as far as that can be known: the `why` of `task:stalled`."""
    doing = history.doing
    if doing == RETRYING and history.activity.phase == "rate_limited":
        return "rate-limit"
    if doing in _WHY:
        return _WHY[doing]
    if is_busy(history):
        return "busy"
    return "blocked" if history.still_s >= STILL_S else "unknown"


def is_busy(history: History) -> bool:
    """Whether a run is at work, though it says nothing."""
    least = BUSY_CPU_MODEL if history.doing == "model" else BUSY_CPU
    return history.cpu_rate >= least or history.marks.disk_bytes() >= BUSY_DISK_BYTES


def _finding(history: History, now: float, why: str, severity: Severity) -> Finding:
    activity = history.activity
    data: JSON = {
        "stalledFor": round(history.silent_s * 1000),
        "lastActivity": history.spoke_at,
        "why": why,
        "cpuPercent": round(100 * history.cpu_rate, 1),
    }
    if activity.phase:
        data["phase"] = activity.phase
    if activity.since is not None:
        data["since"] = activity.since
    return Finding(STALLED, severity, data | _details(history, now, why))


def _details(history: History, now: float, why: str) -> JSON:
    sample, activity = history.sample, history.activity
    if why == "tool":
        since = [tool.since for tool in activity.tools if tool.since is not None]
        # The epoch goes on while the machine sleeps, the tool does not.
        known_s = history.clock_s - history.doing_s
        running: JSON = {"runningSeconds": round(max(0.0, min(now - min(since), known_s)))} if since else {}
        return {"tools": [tool.label for tool in activity.tools]} | running
    if why == "permission":
        return {"asks": activity.permission}
    if why in {"rate-limit", "overload"}:
        until: JSON = {} if activity.until is None else {"until": activity.until}
        return {"attempt": activity.attempt, "attempts": activity.attempts, "error": activity.error} | until
    if why == "background":
        return {"background": list(activity.background)}
    details: JSON = {}
    if why == "stopped" and sample is not None:
        details |= {"stopped": sample.stopped, "processes": sample.processes}
    if why == "blocked" and sample is not None and sample.wait_channels:
        details["waitsFor"] = sorted(waits_of(sample.wait_channels))
    return details


def deadlocked(limits: RunLimits, history: History, _around: Around, _now: float) -> Verdict:
    """Nothing at all moves, and it is not that it waits for something outside of it."""
    still_s, sample = history.still_s, history.sample
    if still_s < limits.still_s:
        return None if history.has_moved or history.is_whole else UNDECIDED
    if sample is None or sample.stopped or history.suspended:
        return UNDECIDED
    waits = waits_of(sample.wait_channels)
    severity = Severity.ERROR if history.activity.has_pulse else _sure(limits, history, sample, waits)
    if severity is None:
        return None if waits and not is_deadlock(waits) else UNDECIDED
    data: JSON = {
        "stillSeconds": round(still_s),
        "processes": sample.processes,
        "threads": sample.threads,
    }
    if waits:
        data["waitsFor"] = sorted(waits)
    return Finding(DEADLOCKED, severity, data)


def _sure(limits: RunLimits, history: History, sample: TreeSample, waits: frozenset[Wait]) -> Severity | None:
    """Give how surely a program that does not wake of itself is deadlocked; None if that cannot be said."""
    if history.still_s < AGAIN * history.stills.longest_s:
        return None
    if is_deadlock(waits):
        if history.still_s < limits.stall_s:
            return Severity.NOTICE
        return Severity.ERROR if sample.threads >= SEVERAL_THREADS else Severity.WARNING
    if waits or history.still_s < limits.stall_s:
        return None
    # Without its word on what it waits for: at least two threads of one program, that have worked before.
    has_worked = sample.threads > sample.processes and sample.cpu_s >= WORKED_CPU_S
    return Severity.WARNING if has_worked else None
