"""A run that lives by rates, tick by tick, and is judged: time costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from claudine_mcp.core.activity import SILENT, Activity
from claudine_mcp.core.findings import Change, Finding, Step
from claudine_mcp.core.history.run import History
from claudine_mcp.core.recognition import Recognition, Seen
from claudine_mcp.core.rules import MachineLimits, RunLimits
from claudine_mcp.core.samples import Pressure, SystemSample, TreeSample

EPOCH = 1_800_000_000.0
MB = 10**6
GB = 10**9


@dataclass
class Watched:
    """One run and the machine.

    Attributes:
        now: what the run is and does, by the names of `go`'s parameters; kept from one `go` to the next.
        told: all changes so far.
        epoch: the wall clock, which goes on while the machine sleeps.
    """

    limits: RunLimits = field(default_factory=RunLimits)
    name: str = "t1.1"
    mono: float = 1000.0
    recognition: Recognition = field(default_factory=Recognition)
    machine: MachineLimits = field(default_factory=MachineLimits)
    told: list[Change] = field(default_factory=list[Change])
    epoch: float = EPOCH

    def __post_init__(self) -> None:
        self.now: dict[str, Any] = {
            "cpu": 0.01,
            "switches": 20.0,
            "output": 0.0,
            "read": 0.0,
            "written": 0.0,
            "memory": 100 * MB,
            "rss": None,
            "pss": None,
            "processes": 1,
            "starts": 0.0,
            "threads": 4,
            "stopped": 0,
            "runnable": 0,
            "fds": 20,
            "most_fds": None,
            "wchan": None,
            "activity": SILENT,
            "suspended": False,
            "available": 8 * GB,
            "load": 1.0,
            "cpus": None,
            "disk_free": 100 * GB,
            "memory_pressure": 0.0,
            "io_pressure": 0.0,
        }
        self._counters = dict.fromkeys(("cpu", "switches", "output", "read", "written", "starts"), 0.0)

    @property
    def history(self) -> History:
        return self.recognition.histories[self.name]

    @property
    def open(self) -> dict[str, Finding]:
        """What is raised for the run, by type."""
        return {finding.type: finding for finding in self.recognition.conditions[self.name].open()}

    def go(self, seconds: float, *, step: float = 1.0, **changes: Any) -> list[Change]:
        """Live on for so long, with a tick each `step`; give what is told."""
        assert set(changes) <= set(self.now), changes
        self.now |= changes
        told: list[Change] = []
        for _ in range(round(seconds / step)):
            told += self.tick(step)
        return told

    def tick(self, passed: float) -> list[Change]:
        """Live on for so long, and be looked at once."""
        self.mono += passed
        self.epoch += passed
        if not self.now["suspended"]:
            for key in self._counters:
                self._counters[key] += self.now[key] * passed
        seen = {self.name: Seen(self.sample(), self.limits, self.now["activity"], self.now["suspended"])}
        told = self.recognition.tick(seen, self.system(), self.machine, self.epoch)
        self.told += told
        return told

    def sample(self) -> TreeSample:
        now, counters = self.now, self._counters
        rss = now["memory"] if now["rss"] is None else now["rss"]
        return TreeSample(
            at=self.mono,
            processes=now["processes"],
            stopped=now["processes"] if now["suspended"] else now["stopped"],
            runnable=now["runnable"],
            threads=now["threads"],
            rss_bytes=round(rss),
            vsz_bytes=round(4 * rss),
            cpu_s=round(counters["cpu"], 2),
            switches=int(counters["switches"]),
            output_bytes=int(counters["output"]),
            pss_bytes=now["pss"],
            pss_at=None if now["pss"] is None else self.mono - self.mono % 30,
            fds=now["fds"],
            most_fds=now["most_fds"],
            read_bytes=int(counters["read"]),
            written_bytes=int(counters["written"]),
            wait_channels=now["wchan"],
            started=int(counters["starts"]),
        )

    def system(self) -> SystemSample:
        now = self.now
        return SystemSample(
            at=self.mono,
            total_bytes=16 * GB,
            available_bytes=round(now["available"]),
            swap_total_bytes=0,
            swap_used_bytes=0,
            load=now["load"],
            processors=4.0,
            cpus=now["cpus"],
            disk_free_bytes=round(now["disk_free"]),
            disk_total_bytes=500 * GB,
            pressure=Pressure(now["memory_pressure"], now["memory_pressure"], 0.0, 0.0, now["io_pressure"]),
        )


def raised(told: list[Change]) -> list[str]:
    """The types of what was raised."""
    return [change.finding.type for change in told if change.step is Step.RAISED]


def cleared(told: list[Change]) -> list[str]:
    """The types of what was cleared."""
    return [change.finding.type for change in told if change.step is Step.CLEARED]


def claude(phase: str, at: float = 0.0, **fields: Any) -> Activity:
    """What a delegated Claude Code says of itself; `at` is when it last got on."""
    return Activity(phase=phase, active_at=at, has_pulse=True, **fields)
