"""What is true of each task of the live suite: what must be told of it, why, how soon, and when it is over.

Times come from the constants of the rules, so that a rule that gets slower by mistake is seen, and one that is made
slower takes its bound along. They are bounds and no measurements: a busy machine is late, a wrong rule never comes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any, Final

from claudine_mcp.core.history.marks import MARK_S, MINUTE_S, MINUTES
from claudine_mcp.core.history.run import HOT, SMOOTH_S
from claudine_mcp.core.history.trend import BUCKET_S, LEAST, VALLEYS
from claudine_mcp.core.models import Event, Severity
from claudine_mcp.core.rules import MACHINE_RULES, RULES, RunLimits
from claudine_mcp.core.rules.course import STUCK_UNLIKE
from claudine_mcp.core.rules.silence import PARTLY_STOPPED_S, STILL_S, STOPPED_S
from claudine_mcp.core.rules.use import BARREN
from claudine_mcp.host.tree import CHANNELS_S, FIRST_WEIGHED_S, SLOW_S
from claudine_mcp.supervisor.ending import LEFTOVERS_AFTER_S, LEFTOVERS_EVERY_S

TICK_S: Final = 1.0
STALL_S: Final = 15.0
LONG_STALL_S: Final = 35.0
"""For what stands still: what it waits for is told once nothing has moved for `STILL_S`."""
TIMEOUT_S: Final = 20.0
STILL_FOR_S: Final = RunLimits().still_s
"""How long nothing may move in what hangs."""
TOOTH_S: Final = 40.0
SOFT_CAP: Final = 10
MOST_FILES: Final = 200

SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "monitoring": {"sampleInterval": f"{TICK_S:g}s", "stallThreshold": f"{STALL_S:g}s"},
    "limits": {
        "maxMemoryPerTask": "150MB",
        "criticalMemory": "700MB",
        "maxFileDescriptors": MOST_FILES,
        "maxDiskRate": "1MB",
        "softMaxConcurrent": SOFT_CAP,
        "hardMaxConcurrent": 100,
    },
}
LONG_STALL: Final = {"stallThreshold": f"{LONG_STALL_S:g}s"}

_DWELL: Final = {rule.name: (rule.raise_after_s, rule.clear_after_s) for rule in (*RULES, *MACHINE_RULES)}

LATE_TICKS: Final = 20
LATE: Final = 1.25
"""What a busy machine may add to the time that a rule takes: ticks that come late or not at all, on both ends."""

LIFECYCLE: Final = frozenset(
    {
        "task:queued",
        "task:started",
        "task:active",
        "task:progress",
        "task:checkpoint",
        "task:ended",
        "monitoring:configured",
    }
)


def at_most(rule_s: float) -> float:
    """Give the longest time that what takes a rule so long may take here."""
    return LATE * rule_s + LATE_TICKS * TICK_S


@dataclass(frozen=True)
class Trouble:
    """Something that must be told, once.

    Attributes:
        type: of its event.
        severity: of its event.
        after_s: how long the rule takes from the beginning of the trouble.
        over_s: how long it takes from its end to say so; None: it lasts until the task has ended.
        data: what the event's data has in it, at least.
        may_worsen: whether it may be milder at first, and told once more when it is not: what has just started has
            used more of a processor of late than it does when it waits.
    """

    type: str
    severity: Severity
    after_s: float
    over_s: float | None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    may_worsen: bool = False


@dataclass(frozen=True)
class Case:
    """A task.

    Attributes:
        name: of the case and its task.
        act: the kind of misbehaviour (`misbehaving`), with its arguments.
        troubles: what must be told of it, and nothing else.
        ends: how its trouble is brought to an end: "over" (it is told by a file), "signal", "continue" (it was
            stopped, and gets SIGCONT), "write" (to the pipe that it reads), "time" (it is given more).
        stops: what is stopped by someone else: "it" or "child".
        stays_s: for how long, at least, its trouble lasts.
        waits_for: the case whose trouble must have been told before this one's may end: what is harmless has been
            looked at for as long as that took.
        computes: whether it takes a whole processor: such cases take turns.
        watch: parameters of ConfigureMonitoring for it.
        options: of its submission.
    """

    name: str
    act: tuple[str, ...]
    troubles: tuple[Trouble, ...] = ()
    ends: str = "over"
    stops: str = ""
    stays_s: float = 0.0
    waits_for: str = ""
    computes: bool = False
    watch: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def needs_stress(self) -> bool:
        """Whether it runs stress-ng."""
        return "stress-ng" in self.act


def _stalled(
    why: str, severity: Severity = Severity.WARNING, after_s: float = STALL_S, **data: Any
) -> Trouble:
    return Trouble("task:stalled", severity, after_s, 0.0, {"why": why, **data})


def _of_rule(
    name: str, severity: Severity, after_s: float = 0.0, over_s: float = 0.0, **data: Any
) -> Trouble:
    raise_after_s, clear_after_s = _DWELL[name]
    return Trouble(f"task:{name}", severity, after_s + raise_after_s, over_s + clear_after_s, data)


HIGH_MEMORY: Final = _of_rule("high-memory", Severity.WARNING, FIRST_WEIGHED_S, SLOW_S)
BUSY: Final = _stalled("busy", Severity.NOTICE)
# What has never spoken may be computing. From a standstill the smoothed use of processors is past `HOT` after so long.
RUNAWAY: Final = _of_rule("runaway-cpu", Severity.NOTICE, BARREN * STALL_S - SMOOTH_S * log(1 - HOT))
# Each bucket may be a mark longer than it should be; the first half minute is no trend.
LEAK_S: Final = BUCKET_S + LEAST * (BUCKET_S + MARK_S)

CASES: Final = (
    # -- memory
    Case(
        "a leak that will take all",
        ("leak",),
        (
            # It begins well below the limit, and reaches it at a megabyte a second. At first it is only noted: loading
            # looks the same.
            Trouble("task:high-memory", Severity.WARNING, 90 + HIGH_MEMORY.after_s, None),
            Trouble("task:memory-leak", Severity.NOTICE, LEAK_S, None),
        ),
    ),
    Case(
        "a leak below a sawtooth",
        ("leaking-sawtooth",),
        (
            Trouble("task:high-memory", Severity.WARNING, HIGH_MEMORY.after_s, None),
            # Valleys are seen to within a mark, which the first few may not bear.
            Trouble("task:memory-leak", Severity.NOTICE, (VALLEYS + 3) * (TOOTH_S + TICK_S) + MARK_S, None),
        ),
    ),
    Case("a sawtooth", ("sawtooth",), (HIGH_MEMORY,), waits_for="a leak that will take all"),
    Case("a warm-up", ("warmup",), (HIGH_MEMORY,), waits_for="a leak that will take all"),
    Case("a single step", ("step",), (HIGH_MEMORY,), waits_for="a leak that will take all"),
    Case(
        "memory above its limit",
        ("load", "stress-ng", "--quiet", "--vm", "1", "--vm-bytes", "300m", "--vm-keep", "--vm-hang", "0"),
        (HIGH_MEMORY,),
    ),
    Case(
        "memory that is critical",
        ("load", "stress-ng", "--quiet", "--vm", "1", "--vm-bytes", "900m", "--vm-keep", "--vm-hang", "0"),
        (_of_rule("critical-memory", Severity.CRITICAL, FIRST_WEIGHED_S, SLOW_S, cause="limit"),),
    ),
    # -- processors
    Case("an endless loop", ("spin",), (BUSY, RUNAWAY), computes=True),
    Case(
        "processors under stress",
        ("load", "--quiet", "stress-ng", "--quiet", "--cpu", "1", "--cpu-method", "fft"),
        (BUSY, RUNAWAY),
        computes=True,
    ),
    # For longer than a loop is allowed, and well within what is allowed to whoever starts processes.
    Case("a silent compile", ("compile-silently",), (BUSY,), stays_s=4 * STALL_S, computes=True),
    # -- silence
    Case("a livelock", ("livelock",), (_stalled("unknown"),)),
    Case("a silence", ("silence",), (_stalled("unknown"),)),
    Case(
        "a deadlock",
        ("deadlock",),
        (
            _stalled("blocked", after_s=LONG_STALL_S, waitsFor=["a lock"]),
            _of_rule("deadlocked", Severity.ERROR, STILL_FOR_S + CHANNELS_S, waitsFor=["a lock"]),
        ),
        ends="signal",
        watch=LONG_STALL,
    ),
    # For longer than nothing may move in what could be a deadlock.
    Case(
        "a child blocked in a pipe",
        ("fifo",),
        (
            _stalled(
                "blocked",
                after_s=LONG_STALL_S,
                waitsFor=["a child", "someone to open the other end of a pipe"],
            ),
        ),
        ends="write",
        stays_s=STILL_FOR_S + STILL_S,
        watch=LONG_STALL,
    ),
    Case(
        "an answer from the network that does not come",
        ("network",),
        (_stalled("blocked", after_s=LONG_STALL_S, waitsFor=["the network"]),),
        ends="signal",
        stays_s=STILL_FOR_S + STILL_S,
        watch=LONG_STALL,
    ),
    Case(
        "stopped by someone else",
        ("life",),
        (_stalled("stopped", after_s=STOPPED_S, stopped=1, processes=1),),
        ends="continue",
        stops="it",
    ),
    Case(
        "a child stopped by someone else",
        ("silent-child",),
        (_stalled("stopped", after_s=PARTLY_STOPPED_S, stopped=1, processes=2),),
        ends="continue",
        stops="child",
        watch={"stallThreshold": f"{4 * PARTLY_STOPPED_S:g}s"},
    ),
    # -- other limits
    Case(
        "a leak of file descriptors",
        ("descriptors", str(MOST_FILES + 40)),
        (_of_rule("fd-limit", Severity.WARNING, 2 * SLOW_S, SLOW_S, threshold=MOST_FILES),),
    ),
    Case(
        "a disk under stress",
        (
            *("again", "stress-ng", "--quiet", "--hdd", "1", "--hdd-bytes", "4m", "--hdd-write-size", "512k"),
            *("--hdd-opts", "wr-seq,fsync", "--hdd-ops", "4"),
        ),
        # That it is over takes minutes, too: each must be seen to write less.
        (Trouble("task:disk-io", Severity.WARNING, MINUTES * (MINUTE_S + MARK_S) + MARK_S + SLOW_S, None),),
    ),
    # -- course
    Case(
        "progress that has stopped",
        ("stick",),
        (_of_rule("stuck-phase", Severity.WARNING, STUCK_UNLIKE * STALL_S, percent=80.0, phase="package"),),
    ),
    Case(
        "over its time",
        ("life",),
        (_of_rule("overdue", Severity.WARNING, TIMEOUT_S, timeout=TIMEOUT_S * 1000),),
        ends="time",
        options={"timeout": f"{TIMEOUT_S:g}s"},
    ),
    Case(
        "a child left behind",
        ("leave-behind",),
        (
            Trouble(
                "task:leftovers",
                Severity.WARNING,
                LEFTOVERS_AFTER_S + LEFTOVERS_EVERY_S,
                LEFTOVERS_EVERY_S,
                {"processes": 1},
            ),
        ),
    ),
    # -- nothing is wrong
    Case("a good build", ("build",), waits_for="a leak that will take all"),
    Case("a chatty loop", ("chat",), waits_for="a leak that will take all"),
    Case("a quiet service", ("life",), waits_for="a leak that will take all"),
)
"""Each case has its own task; all run at the same time, so the suite takes as long as the longest of them."""


@dataclass
class Course:
    """What became of a case. Times are seconds since the epoch.

    Attributes:
        began: when its trouble began.
        over: when that was brought to an end.
        told: the events of its task, oldest first.
        open_after: types of the alerts that were open once all was over.
    """

    began: float = 0.0
    over: float = 0.0
    told: list[Event] = field(default_factory=list[Event])
    open_after: list[str] = field(default_factory=list[str])

    def of_type(self, kind: str) -> list[Event]:
        """Give the events of a type."""
        return [event for event in self.told if event.type == kind]

    def recovered(self, kind: str) -> list[Event]:
        """Give the events that say that something is over."""
        return [event for event in self.of_type("task:recovered") if event.data["of"] == kind]


def deviations(troubles: Sequence[Trouble], course: Course, outcome: str = "succeeded") -> list[str]:
    """Say in which ways a course is not what is true of it; nothing if it is.

    Args:
        troubles: what must be told, and nothing else.
        course: what was told.
        outcome: of the task.
    """
    found = [*_unexpected({trouble.type for trouble in troubles}, course.told)]
    found += [end.message for end in course.of_type("task:ended") if end.data["outcome"] != outcome]
    for trouble in troubles:
        told = course.of_type(trouble.type)
        if trouble.may_worsen:
            told = [event for event in told if "worse" not in event.data]
        if len(told) != 1:
            found.append(f"{trouble.type} was told {len(told)} times, not once: {_words(told)}")
            continue
        found += _wrong(trouble, told[0], course)
    found += [f"{kind} is still open" for kind in course.open_after]
    return found


def _unexpected(expected: Collection[str], told: Sequence[Event]) -> Iterable[str]:
    for event in told:
        if event.type not in LIFECYCLE | {*expected, "task:recovered"}:
            yield f"{event.type} was told, and is not true: {event.message}"
        elif event.type == "task:recovered" and event.data["of"] not in expected:
            yield f"the end of something that is not true was told: {event.message}"


def _wrong(trouble: Trouble, told: Event, course: Course) -> Iterable[str]:
    if told.severity is not trouble.severity and not (
        trouble.may_worsen and told.severity is Severity.NOTICE
    ):
        yield f"{told.type} is {told.severity}, not {trouble.severity}: {told.message}"
    for key, value in trouble.data.items():
        if told.data.get(key) != value:
            yield f"{told.type} has {key} = {told.data.get(key)!r}, not {value!r}: {told.message}"
    late_s, allowed_s = told.at - course.began, at_most(trouble.after_s)
    if late_s > allowed_s:
        yield f"{told.type} was told after {late_s:.0f} s; its rule takes {trouble.after_s:.0f}, here {allowed_s:.0f}"
    over = course.recovered(trouble.type)
    if trouble.over_s is None:
        if over:
            yield f"{told.type} is said to be over, and was not: {_words(over)}"
    elif len(over) != 1:
        yield f"the end of {told.type} was told {len(over)} times, not once: {_words(over)}"
    else:
        late_s, allowed_s = over[0].at - course.over, at_most(trouble.over_s)
        if not 0 <= late_s <= allowed_s:
            yield f"the end of {told.type} was told after {late_s:.0f} s, not within {allowed_s:.0f}"


def _words(events: Sequence[Event]) -> str:
    return "; ".join(event.message for event in events) or "-"
