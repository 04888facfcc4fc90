"""Rules about processors, descriptors and the disk."""

from __future__ import annotations

from typing import Final

from claudine_mcp.core.findings import UNDECIDED, Finding, Verdict
from claudine_mcp.core.history.marks import MINUTES
from claudine_mcp.core.history.run import History
from claudine_mcp.core.models import JSON, Severity
from claudine_mcp.core.rules.around import Around
from claudine_mcp.core.rules.limits import RunLimits

RUNAWAY_CPU: Final = "task:runaway-cpu"
FD_LIMIT: Final = "task:fd-limit"
DISK_IO: Final = "task:disk-io"

BARREN: Final = 2.0
BARREN_BUT_STIRRING: Final = 6.0
"""Times `stallThreshold` that a run may compute without output, progress or results: what reads files, starts
processes or moves memory, as compilers do, is given longer."""
WAITING_PHASES: Final = frozenset({"starting", "model", "result", "retrying"})
BARREN_WAITING_S: Final = 120.0
"""The same for Claude Code while it only waits, which takes less than 1 % of a processor (measured)."""
BACK: Final = 0.9

BLOCKED_PER_CENT: Final = 40.0
"""Of the last 10 s in which everything waited for the disk."""
DISK_FULL_IN: Final = 10.0
"""Times the minutes that a run has been writing, within which it would fill the disk."""
ITS_OWN: Final = 0.5
"""The share of what it has written by which the disk's free space must have shrunk for it to be that disk."""


def runaway_cpu(limits: RunLimits, history: History, _around: Around, _now: float) -> Verdict:
    """Computes without a rest, and nothing comes of it."""
    if not history.is_use_known:
        return UNDECIDED
    marks = history.marks
    fruit_s = max(history.spoke_s, history.advanced_s, marks.wrote_s)
    clock_s = history.clock_s
    barren_s = clock_s - max(fruit_s, history.cool_s)
    least_s = BARREN * limits.stall_s
    if history.doing in WAITING_PHASES and not history.activity.background:
        is_runaway = barren_s >= min(least_s, BARREN_WAITING_S)
    elif barren_s < least_s:
        is_runaway = False
    else:
        least_s = max(least_s, history.usual_pause_s())
        is_sterile = clock_s - max(clock_s - barren_s, marks.stirred_s) >= least_s
        is_runaway = is_sterile or barren_s >= least_s * BARREN_BUT_STIRRING / BARREN
    if is_runaway and not history.suspended:
        data: JSON = {"cpuPercent": round(100 * history.cpu_rate), "barrenSeconds": round(barren_s)}
        if history.activity.phase:
            data["phase"] = history.activity.phase
        return Finding(RUNAWAY_CPU, Severity.WARNING, data)
    # Until it rests or something comes of it, nobody can say that it is over.
    rests_or_speaks = barren_s < min(BARREN_WAITING_S, least_s)
    return None if rests_or_speaks and (history.has_moved or history.is_whole) else UNDECIDED


def fd_limit(limits: RunLimits, history: History, _around: Around, _now: float) -> Verdict:
    """A process of it has more descriptors open than `maxFileDescriptors`."""
    sample = history.sample
    if sample is None:
        return UNDECIDED
    open_fds = sample.fds if sample.most_fds is None else sample.most_fds
    if open_fds is None:
        return UNDECIDED
    if open_fds > limits.max_fds:
        data: JSON = {"usage": open_fds, "threshold": limits.max_fds}
        if sample.fds is not None:
            data["total"] = sample.fds
        return Finding(FD_LIMIT, Severity.WARNING, data)
    return UNDECIDED if open_fds > BACK * limits.max_fds else None


def disk_io(limits: RunLimits, history: History, around: Around, _now: float) -> Verdict:
    """Writes more than `maxDiskRate` for minutes, fills the disk, or makes the machine wait for it."""
    minutes = history.marks.minutes
    if not minutes:
        return UNDECIDED
    last, limit = minutes[-1], limits.max_disk_rate
    if history.marks.steady_rate > limit:
        return _disk_finding(limits, history, Severity.WARNING, {"cause": "rate", "minutes": MINUTES})
    system = around.machine.sample
    if system is not None:
        # The longer it has been writing, the further ahead that may be extended.
        if last.written_rate * DISK_FULL_IN * 60.0 * len(minutes) > system.disk_free_bytes:
            full_in_s = system.disk_free_bytes / last.written_rate
            writing_s = 60.0 * sum(minute.written_rate >= ITS_OWN * last.written_rate for minute in minutes)
            falls = around.machine.disk_fall_rate() >= ITS_OWN * last.written_rate
            if full_in_s <= DISK_FULL_IN * writing_s and falls:
                full: JSON = {
                    "cause": "full",
                    "free": system.disk_free_bytes,
                    "fullInSeconds": round(full_in_s),
                }
                return _disk_finding(limits, history, Severity.ERROR, full)
        blocked = 0.0 if system.pressure is None else system.pressure.io_full
        if blocked >= BLOCKED_PER_CENT and last.written_rate + last.read_rate > limit:
            pressure: JSON = {"cause": "pressure", "blockedPercent": round(blocked)}
            return _disk_finding(limits, history, Severity.WARNING, pressure)
    return None if last.written_rate < BACK * limit else UNDECIDED


def _disk_finding(limits: RunLimits, history: History, severity: Severity, why: JSON) -> Finding:
    last = history.marks.minutes[-1]
    data: JSON = {
        "writtenBytesPerSecond": round(last.written_rate),
        "readBytesPerSecond": round(last.read_rate),
        "threshold": limits.max_disk_rate,
    }
    return Finding(DISK_IO, severity, data | why)
