"""What is remembered of one run, so that it can be judged: a few hundred numbers, however long it lasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from claudine_mcp.core.activity import SILENT, Activity
from claudine_mcp.core.history.calls import Calls
from claudine_mcp.core.history.gaps import Pauses
from claudine_mcp.core.history.marks import Marks, Processes
from claudine_mcp.core.history.memory import Memory
from claudine_mcp.core.history.trend import BUCKET_S, MemoryTrend
from claudine_mcp.core.models import JSON
from claudine_mcp.core.samples import TreeSample

VERSION: Final = 2
"""Of the stored form."""
STEP_S: Final = 10.0
"""More than this between two samples is a pause of whoever takes them: so much of it is counted, and no rate. (Longer
where samples are meant to be rarer.)"""
SMOOTH_S: Final = 30.0
"""Time constant of the smoothed use of processors."""
STILL_CPU_S: Final = 0.02
"""Processor time that is no movement: two ticks of the kernel's clock."""
HOT: Final = 0.5
HOT_WAITING: Final = 0.1
"""Processors in use by a run that computes; the second where it waits for its turn on a busy machine."""
STAGE_S: Final = 1.0
"""What passes faster is not remembered as a stage."""
LATE_S: Final = 0.5
"""What is seen now came at some time since the look before; it is dated half of that back, but no more than this: less
than the shortest threshold, and enough that none is missed because a tick came some milliseconds early."""
CHAT_S: Final = 60.0
"""Signs of life that are no further apart belong to one talk."""
ASKING: Final = "permission"
RETRYING: Final = "retrying"
_RETRYING_PHASES: Final = frozenset({"retrying", "rate_limited"})


class History:
    """One run, sample by sample. Read by the rules; changed by `fold` alone.

    The run's own clock, `clock_s`, stands while the run is suspended or nobody looks, and the machine's own clock
    stands while it sleeps; so whatever is measured on it is the run's doing. Moments (`_s`) are on this clock.

    Args:
        ran_s: for how long the run has run, unsuspended, before its first sample.
        bucket_s: the shortest bucket of its memory's trend.
        first_mark_s: see `Marks`.

    Attributes:
        sample: the newest; None before the first.
        at: when that was taken, on the machine's monotonic clock.
        ran_s: how long the run has run, suspended time apart, whether it was watched or not.
        doing: what it is doing, as far as silences in it are alike; `doing_s`: since when.
        has_spoken: whether a sign of life was seen since this history began.
        spoke_s: the last sign of life; `spoke_at`: the same in seconds since the epoch.
        talked_s: for how long it has spoken in all, pauses of more than a minute apart.
        pauses: between signs of life, by what the run was doing.
        stills: between movements of any kind.
        cpu_rate: processors used, smoothed; `is_use_known`: whether that was measured for long enough.
        cool_s: when that was last less than what a run uses that computes without a rest.
        has_moved: whether anything moved since this history began: processor time, context switches, disk, output.
        moved_s: when something did last.
        advanced_s: when its progress or its stage last changed; its start, if it has none.
        stages: how long its stages took.
        calls: its last tool calls.
        stopped_s: since when some of its processes are stopped, though it was not us; None: none are.
        is_whole: whether this history goes back to the run's start, so that what it has not seen was not there.
    """

    __slots__ = (
        "_late_s",
        "_output_bytes",
        "_read_bytes",
        "_still_cpu_s",
        "_unmeasured_s",
        "_written_bytes",
        "activity",
        "advanced_s",
        "at",
        "calls",
        "clock_s",
        "cool_s",
        "cpu_rate",
        "doing",
        "doing_s",
        "has_moved",
        "has_spoken",
        "is_whole",
        "marks",
        "memory",
        "moved_s",
        "pauses",
        "ran_s",
        "sample",
        "spoke_at",
        "spoke_s",
        "stages",
        "stills",
        "stopped_s",
        "suspended",
        "talked_s",
        "trend",
    )

    def __init__(self, *, ran_s: float = 0.0, bucket_s: float = BUCKET_S, first_mark_s: float = 0.0) -> None:
        self.sample: TreeSample | None = None
        self.activity = SILENT
        self.at = 0.0
        self.clock_s = 0.0
        self.ran_s = ran_s
        self.suspended = self.has_spoken = self.has_moved = False
        self.doing = ""
        self.doing_s = self.spoke_s = self.spoke_at = self.moved_s = self.advanced_s = 0.0
        self.pauses: dict[str, Pauses] = {}
        self.talked_s = 0.0
        self.stages, self.stills = Pauses(STAGE_S), Pauses()
        self.cpu_rate = self.cool_s = 0.0
        self.calls = Calls()
        self.is_whole = ran_s <= STEP_S
        # A run that has just begun has used nothing, which is true; of one that is met on its way it must be seen.
        self._unmeasured_s = 0.0 if self.is_whole else SMOOTH_S
        self.stopped_s: float | None = None
        self.memory = Memory()
        self.marks = Marks(first_mark_s)
        self.trend = MemoryTrend(bucket_s)
        self._still_cpu_s = self._late_s = 0.0
        self._output_bytes: int | None = None
        self._read_bytes = self._written_bytes = 0

    @property
    def silent_s(self) -> float:
        """How long there was no sign of life."""
        return self.clock_s - self.spoke_s

    @property
    def still_s(self) -> float:
        """How long nothing has moved at all."""
        return self.clock_s - self.moved_s

    @property
    def is_use_known(self) -> bool:
        """Whether `cpu_rate` means something."""
        return self._unmeasured_s <= 0

    def usual_pause_s(self) -> float:
        """Give how long a silence means nothing, by the run's habit in what it is doing; 0 if it has none."""
        pauses = self.pauses.get(self.doing)
        return 0.0 if pauses is None else pauses.usual_s()

    def wants_pss(self, above_bytes: float) -> bool:
        """Whether only a new reading of PSS can tell if memory is above a limit."""
        return self.memory.now_bytes > above_bytes and not self.memory.is_sure

    def fold(
        self,
        sample: TreeSample,
        activity: Activity = SILENT,
        *,
        suspended: bool = False,
        step_s: float = STEP_S,
        now: float = 0.0,
    ) -> None:
        """Take the sample of a tick.

        Args:
            sample: one that is not older than the one before.
            activity: what the run says of itself; the same object as before where nothing has changed.
            suspended: whether it was us who stopped it.
            step_s: what is longer between two samples is a pause of whoever takes them.
            now: seconds since the epoch, to tell people when it last spoke.
        """
        if self.sample is None:
            self._begin(sample, now)
        before = self.sample or sample
        passed_s = max(0.0, sample.at - self.at)
        counted_s = 0.0 if suspended or self.suspended else min(passed_s, step_s)
        self.sample, self.at, self.suspended = sample, sample.at, suspended
        self.clock_s += counted_s
        self._late_s = min(counted_s / 2, LATE_S) if counted_s == passed_s else 0.0
        if counted_s:
            self.ran_s += passed_s
        self._follow_processors(before, sample, passed_s, counted_s)
        has_output = self._look_for_movement(before, sample)
        if activity is not self.activity:
            self._follow_activity(activity, now, has_output=has_output)
        elif has_output and activity.active_at is None:
            self._speak(now)
        self.memory.fold(sample, passed_s)
        if counted_s and self.marks.add(self.clock_s, self.memory.now_bytes):
            processes = Processes(sample.processes, sample.started)
            mark = self.marks.close(self.clock_s, processes, self._read_bytes, self._written_bytes)
            self.trend.add(self.clock_s, mark.memory_bytes)
        if not sample.stopped or suspended:
            self.stopped_s = None
        elif self.stopped_s is None:
            self.stopped_s = self.clock_s

    def _begin(self, sample: TreeSample, now: float) -> None:
        if not self.at:
            self.at = sample.at
            self.spoke_s = -min(self.ran_s / 2, LATE_S) if self.is_whole else 0.0
            self.spoke_at = now + self.spoke_s
        if self._output_bytes is None:
            self._output_bytes = sample.output_bytes
        self._still_cpu_s = sample.cpu_s
        self._read_bytes, self._written_bytes = sample.read_bytes or 0, sample.written_bytes or 0

    def _follow_processors(
        self, before: TreeSample, sample: TreeSample, passed_s: float, counted_s: float
    ) -> None:
        used_s = sample.cpu_s - before.cpu_s
        if counted_s != passed_s or not passed_s or before is sample:
            # What happened meanwhile is in the counters, but not when; or the counters begin here.
            self._still_cpu_s += used_s
            self.marks.interrupt()
            return
        self.cpu_rate += (used_s - self.cpu_rate * passed_s) / (SMOOTH_S + passed_s)
        self._unmeasured_s = max(0.0, self._unmeasured_s - passed_s)
        if not self.is_use_known:
            return
        if self.cpu_rate < HOT and (self.cpu_rate < HOT_WAITING or not sample.runnable):
            self.cool_s = self.clock_s

    def _look_for_movement(self, before: TreeSample, sample: TreeSample) -> bool:
        """See whether anything has moved; give whether there was output."""
        has_output = sample.output_bytes != self._output_bytes
        self._output_bytes = sample.output_bytes
        moves = (
            has_output or sample.switches != before.switches or sample.cpu_s - self._still_cpu_s > STILL_CPU_S
        )
        if sample.read_bytes is not None and sample.read_bytes != self._read_bytes:
            self._read_bytes, moves = sample.read_bytes, True
        if sample.written_bytes is not None and sample.written_bytes != self._written_bytes:
            self._written_bytes, moves = sample.written_bytes, True
        if moves:
            self.stills.add(self.clock_s - self.moved_s)
            self.moved_s, self._still_cpu_s = self.clock_s, sample.cpu_s
            self.has_moved = True
        return has_output

    def _follow_activity(self, activity: Activity, now: float, *, has_output: bool) -> None:
        """Take new word of what the run does."""
        old, self.activity = self.activity, activity
        advances = activity.stage != old.stage or activity.progress != old.progress
        if advances or (has_output if activity.active_at is None else activity.active_at != old.active_at):
            # A silence that ends now was one in what it has been doing until now.
            self._speak(now)
        if advances:
            if old.stage or old.progress is not None:
                self.stages.add(self.clock_s - self.advanced_s)
            self.advanced_s = self.clock_s
        if activity.calls is not old.calls:
            self.calls.follow(old.calls, activity.calls, self.clock_s)
        doing = activity.phase
        if activity.permission:
            doing = ASKING
        elif doing in _RETRYING_PHASES:
            doing = RETRYING
        if doing != self.doing:
            self.doing, self.doing_s = doing, self.clock_s

    def _speak(self, now: float) -> None:
        silent_s = self.silent_s
        if silent_s <= CHAT_S:
            self.talked_s += silent_s
        if self.doing not in self.pauses:
            self.pauses[self.doing] = Pauses()
        spoke_s = self.clock_s - self._late_s
        self.pauses[self.doing].add(spoke_s - self.spoke_s)
        self.spoke_s, self.spoke_at = spoke_s, now - self._late_s
        self.has_spoken = True

    # -- storing ------------------------------------------------------------------------------------------

    def to_json(self) -> JSON:
        """What a restarted supervisor needs, for `from_json`; some kB at most.

        What is only of the last minutes is left out, and learned again.
        """
        return {
            "version": VERSION,
            "at": self.at,
            "clock": self.clock_s,
            "ran": self.ran_s,
            "suspended": self.suspended,
            "doing": [self.doing, self.doing_s],
            "spoke": [self.spoke_s, self.spoke_at, self.activity.active_at],
            "moved": self.moved_s,
            "cool": self.cool_s,
            "cpu": [self.cpu_rate, self._unmeasured_s],
            "stopped": self.stopped_s,
            "talked": self.talked_s,
            "worked": [self.marks.stirred_s, self.marks.wrote_s],
            "isWhole": self.is_whole or self.has_spoken,
            "advanced": self.advanced_s,
            "stage": [self.activity.stage, self.activity.progress],
            "output": self._output_bytes,
            "pauses": {doing: pauses.to_json() for doing, pauses in self.pauses.items()},
            "stages": self.stages.to_json(),
            "stills": self.stills.to_json(),
            "trend": self.trend.to_json(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> History | None:
        """What `to_json` gave, to be gone on with on the same boot; None if that is of another version."""
        if stored.get("version") != VERSION:
            return None
        history = cls(ran_s=stored["ran"])
        history.at, history.clock_s = stored["at"], stored["clock"]
        history.suspended = stored["suspended"]
        history.doing, history.doing_s = stored["doing"]
        history.spoke_s, history.spoke_at, active_at = stored["spoke"]
        history.moved_s, history.advanced_s = stored["moved"], stored["advanced"]
        history.cool_s, history.is_whole = stored["cool"], stored["isWhole"]
        history.cpu_rate, history._unmeasured_s = stored["cpu"]
        history.stopped_s, history.talked_s = stored["stopped"], stored["talked"]
        stage, progress = stored["stage"]
        history.activity = Activity(active_at=active_at, stage=stage, progress=progress)
        history._output_bytes = stored["output"]
        history.pauses = {doing: Pauses(stored=pauses) for doing, pauses in stored["pauses"].items()}
        history.stages = Pauses(STAGE_S, stored["stages"])
        history.stills = Pauses(stored=stored["stills"])
        history.trend = MemoryTrend.from_json(stored["trend"])
        history.marks.stirred_s, history.marks.wrote_s = stored["worked"]
        return history
