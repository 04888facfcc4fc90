"""Rules about the course of the work: the same thing for too long, again and again, or later than agreed."""

from __future__ import annotations

from typing import Final

from claudine_mcp.core.findings import UNDECIDED, Finding, Verdict
from claudine_mcp.core.history.run import History
from claudine_mcp.core.models import JSON, Severity
from claudine_mcp.core.rules.around import Around
from claudine_mcp.core.rules.limits import RunLimits

STUCK_PHASE: Final = "task:stuck-phase"
REPEATING: Final = "task:repeating"
OVERDUE: Final = "task:overdue"

FEWEST_STAGES: Final = 3
"""With fewer there is no history to compare with."""
STUCK: Final = 2.0
STUCK_COUNTER: Final = 3.0
STUCK_UNLIKE: Final = 6.0
"""Times `stallThreshold` that any stage may take: where six stages of a minute or more were seen; where the steps of a
counter are smaller, which say little of an evaluation between them; and where stages are as unlike as the items of a
to-do list, the fourth of which may be the real work."""
LONG_STAGE_S: Final = 60.0
ENOUGH_STAGES: Final = 6
TIMES_THE_LONGEST: Final = (3.0, 5.0)
"""How much longer than any before a stage may take: the first at least, the second where stages differ a lot."""
DONE: Final = 100.0

FORGIVEN: Final = 0.3
"""The share of `repeatThreshold` at which a run does something else again."""


POLLING_S: Final = 20.0
"""Calls that are further apart are rather a look at something every now and then: it is noted."""


def stuck_phase(limits: RunLimits, history: History, _around: Around, _now: float) -> Verdict:
    """The run speaks, but its progress has stood still for far longer than ever before."""
    activity, stages = history.activity, history.stages
    if stages.count < FEWEST_STAGES or (activity.progress is not None and activity.progress >= DONE):
        return None
    if history.suspended:
        return UNDECIDED
    stuck_s = history.clock_s - history.advanced_s
    if stuck_s < _patience(history) * limits.stall_s:
        return None
    if _does_new_things(limits, history):
        return UNDECIDED
    least, most = (times * stages.longest_s for times in TIMES_THE_LONGEST)
    if stuck_s < max(least, min(stages.suspicious_s(), most)):
        return None
    data: JSON = {
        "phase": activity.stage,
        "stuckSeconds": round(stuck_s),
        "longestSeconds": round(stages.longest_s),
    }
    if activity.progress is not None:
        data["percent"] = activity.progress
    return Finding(STUCK_PHASE, Severity.WARNING, data)


def _patience(history: History) -> float:
    activity = history.activity
    if activity.phase:
        return STUCK_UNLIKE  # the to-do list of a delegated Claude Code
    if history.stages.at_least(LONG_STAGE_S) >= ENOUGH_STAGES:
        return STUCK
    return STUCK_UNLIKE if activity.stage else STUCK_COUNTER


def _does_new_things(limits: RunLimits, history: History) -> bool:
    """Whether it has called a tool lately as it had not before."""
    renewed_s = history.calls.renewed_s
    return renewed_s is not None and history.clock_s - renewed_s < limits.stall_s


def repeating(limits: RunLimits, history: History, _around: Around, _now: float) -> Verdict:
    """The same tool calls again and again."""
    if history.calls.repeats < limits.repeats:
        return UNDECIDED if history.calls.repeats > FORGIVEN * limits.repeats else None
    pace_s = history.calls.pace_s
    if pace_s is None:
        return UNDECIDED
    severity = Severity.NOTICE if pace_s >= POLLING_S else Severity.WARNING
    return Finding(REPEATING, severity, {"times": history.calls.repeats, "tool": history.activity.last_tool})


def overdue(limits: RunLimits, history: History, _around: Around, _now: float) -> Verdict:
    """It has run for longer than its timeout, suspended time apart."""
    if limits.timeout_s is None or history.ran_s < limits.timeout_s:
        return None
    data: JSON = {"timeout": round(limits.timeout_s * 1000), "ranSeconds": round(history.ran_s)}
    return Finding(OVERDUE, Severity.WARNING, data)
