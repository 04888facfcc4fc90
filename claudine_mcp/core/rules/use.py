"""Rules about processors, descriptors and the disk."""

from __future__ import annotations

from typing import Final

from claudine_mcp.core.findings import UNDECIDED, Finding, Verdict
from claudine_mcp.core.history.marks import MINUTE_S, MINUTES
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
TALKED_S: Final = 60.0
"""For so long a run must have talked, all in all, for its silence to be strange: a solver, or an epoch of eleven
minutes, says a few words at its start. Such a run is noted until it has been barren as long as one that stirs may."""
BACK: Final = 0.9

BLOCKED_PER_CENT: Final = 40.0
"""Of the last 10 s in which everything waited for the disk."""
DISK_FULL_IN: Final = 10.0
WRITING_MINUTES: Final = 3
"""Times the minutes that a run has been writing, within which it would fill the disk, for that to be noted; and how
many minutes these must be, at least: a large download looks the same at first."""
DISK_FULL_S: Final = 300.0
LONGEST_WRITING_S: Final = 1800.0
"""It is an error when the disk is full within so long, or within the time that it has been written to at this pace, of
which no more than that counts."""
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
        is_noted = _is_quiet_by_nature(history) and barren_s < BARREN_BUT_STIRRING * limits.stall_s
        return Finding(RUNAWAY_CPU, Severity.NOTICE if is_noted else Severity.WARNING, data)
    # Until it rests or something comes of it, nobody can say that it is over.
    rests_or_speaks = barren_s < min(BARREN_WAITING_S, least_s)
    return None if rests_or_speaks and (history.has_moved or history.is_whole) else UNDECIDED


def _is_quiet_by_nature(history: History) -> bool:
    """Whether a run that computes has never been more talkative, or what computes is not what speaks."""
    if history.activity.background:
        return True
    if history.doing in WAITING_PHASES:
        return False
    return history.doing == "tool" or history.talked_s < TALKED_S


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
    if not history.marks.minutes:
        return UNDECIDED
    last, limit, system = history.marks.minutes[-1], limits.max_disk_rate, around.machine.sample
    full = _fills_the_disk(limits, history, around)
    if full is not None and full.severity is Severity.ERROR:
        return full
    if history.marks.steady_rate > limit:
        return _disk_finding(limits, history, Severity.WARNING, {"cause": "rate", "minutes": MINUTES})
    blocked = 0.0 if system is None or system.pressure is None else system.pressure.io_full
    if blocked >= BLOCKED_PER_CENT and last.written_rate + last.read_rate > limit:
        pressure: JSON = {"cause": "pressure", "blockedPercent": round(blocked)}
        return _disk_finding(limits, history, Severity.WARNING, pressure)
    if full is not None:
        return full
    return None if last.written_rate < BACK * limit else UNDECIDED


def _fills_the_disk(limits: RunLimits, history: History, around: Around) -> Finding | None:
    rate, writing_s, system = (
        history.marks.minutes[-1].written_rate,
        history.marks.writing_s,
        around.machine.sample,
    )
    # The longer it has been writing, the further ahead that may be extended.
    ahead_s = DISK_FULL_IN * min(writing_s, MINUTES * MINUTE_S)
    if (
        system is None
        or writing_s < WRITING_MINUTES * MINUTE_S
        or rate * ahead_s <= system.disk_free_bytes
        or around.machine.disk_fall_rate() < ITS_OWN * rate
    ):
        return None
    full_in_s = system.disk_free_bytes / rate
    is_soon = full_in_s <= max(DISK_FULL_S, min(writing_s, LONGEST_WRITING_S))
    severity = Severity.ERROR if is_soon else Severity.NOTICE
    full: JSON = {"cause": "full", "free": system.disk_free_bytes, "fullInSeconds": round(full_in_s)}
    return _disk_finding(limits, history, severity, full)


def _disk_finding(limits: RunLimits, history: History, severity: Severity, why: JSON) -> Finding:
    last = history.marks.minutes[-1]
    data: JSON = {
        "writtenBytesPerSecond": round(last.written_rate),
        "readBytesPerSecond": round(last.read_rate),
        "threshold": limits.max_disk_rate,
    }
    return Finding(DISK_IO, severity, data | why)
