"""A scenario, played through the real rules with a clock that takes no time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from claudine_mcp.core.config import KEYS, Layer, Settings, resolve
from claudine_mcp.core.errors import ConfigError
from claudine_mcp.core.findings import Change
from claudine_mcp.core.recognition import Recognition, Seen, Wants
from claudine_mcp.core.rules import MachineLimits, RunLimits
from claudine_mcp.core.samples import Pressure, SystemSample, TreeSample
from scenario.model import Scenario
from scenario.series import is_constant, series
from scenario.shapes import Series
from scenario.timeline import Timeline
from scenario.values import Table, WrongScenario, periods

EPOCH = 1_800_000_000.0
BOOTED = 5000.0
"""What the two clocks show when a scenario begins."""
IO_EVERY_S = 5.0
PSS_EVERY_S = 30.0
START_CPU_S = 1.5
OTHER_FDS = 10

HEALTHY: dict[str, Any] = {
    "memory": "100MB",
    "shared": 0,
    "cpu": 0.01,
    "switches": 20,
    "read": 0,
    "written": 0,
    "fds": 20,
    "processes": 1,
    "threads": 4,
    "stopped": 0,
}
"""What a run does where its scenario says nothing; and it prints a line every ten seconds."""
SYSTEM: dict[str, Any] = {
    "others": "4GB",
    "load": 1,
    "disk_free": "100GB",
    "memory_pressure": 0,
    "io_pressure": 0,
}


@dataclass(frozen=True, slots=True)
class Told:
    """A change of a condition, at a time of the scenario."""

    at_s: float
    change: Change


def _within(periods: list[tuple[float, float]], at: float) -> bool:
    return any(start <= at < end for start, end in periods)


def _wait(item: Any, where: str) -> tuple[list[tuple[float, float]], frozenset[str]]:
    table = Table(item, where, random.Random())
    during, names = table.take("during"), frozenset(table.texts("in"))
    table.done()
    if not names:
        raise WrongScenario(f'{where}.in: name functions of the kernel, such as "futex_do_wait"')
    return periods([during], f"{where}.during"), names


def _keys(values: Any, where: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise WrongScenario(f"{where}: {values!r} is no table")
    return values


def quantities(specs: dict[str, Any], where: str, seed: str) -> dict[str, Series]:
    """Make a series of each, with a source of chance of its own; one that does not vary is not evaluated again."""
    made: dict[str, Series] = {}
    for key, spec in specs.items():
        made[key] = series(spec, f"{where}.{key}", random.Random(f"{seed}/{key}"))
        if is_constant(spec):
            made[key] = partial(_constant, made[key](0.0, 0.0))
    return made


def _constant(value: float, _u: float, _dt: float) -> float:
    return value


class PlayedRun:
    """One run of a scenario.

    Args:
        name: its id.
        values: what the scenario says of it.
        where: its place, for errors.
        seed: what its chance depends on.
        settings: the scenario's.
    """

    def __init__(self, name: str, values: Any, where: str, seed: str, settings: dict[str, Any]) -> None:
        table = Table(values, where, random.Random(seed))
        for key in ("name", "count"):
            table.take(key)  # read by who makes it
        self.name = name
        self.starts_s = table.seconds("starts", 0)
        self.ends_s = table.seconds("ends", 1e12)
        self._suspended = table.periods("suspended")
        activity, progress = table.take("activity"), table.take("progress")
        # What a delegated Claude Code does is a sign of life by itself.
        usual = "none" if "phase" in json.dumps(activity) else {"lines": {"every": "10s"}}
        specs = {key: table.take(key, healthy) for key, healthy in {**HEALTHY, "output": usual}.items()}
        specs |= {key: table.take(key) for key in ("most_fds", "runnable") if table.has(key)}
        self._quantities = quantities(specs, where, seed)
        self._timeline = Timeline(activity, progress, f"{where}.activity", random.Random(f"{seed}/activity"))
        self._waits = [
            _wait(item, f"{where}.wchan[{place}]") for place, item in enumerate(table.items("wchan"))
        ]
        self._has_pss = table.flag("pss", default=True)
        self._fills_disk = table.flag("fills_disk", default=False)
        timeout_ms = round(1000 * table.some_seconds("timeout")) if table.has("timeout") else None
        own = settings_of({**settings, **_keys(table.take("settings", {}), f"{where}.settings")}, where)
        self.limits = RunLimits.of(own, timeout_ms=timeout_ms)
        table.done()
        self._u = 0.0
        self._cpu_s, self._switches, self._read, self._written, self._output = START_CPU_S, 0.0, 0.0, 0.0, 0.0
        self._io: dict[str, int] = {}
        self._io_at = self._pss_at = -1e9
        self._pss_bytes = 0
        self.memory_bytes = 0

    @property
    def filled_bytes(self) -> float:
        """By how much it has filled the disk."""
        return self._written if self._fills_disk else 0.0

    def live(self, t: float, dt: float, mono: float, wants: Wants) -> Seen:
        """Live for a tick, and be seen at its end.

        Args:
            t: the scenario's time.
            dt: since the last tick.
            mono: the machine's clock.
            wants: what is to be read out of turn.
        """
        suspended = _within(self._suspended, t)
        lived = 0.0 if suspended else dt
        self._u += lived
        now = {key: item(self._u, lived) for key, item in self._quantities.items()}
        self._cpu_s += now["cpu"] * lived
        self._switches += now["switches"] * lived
        self._read += now["read"] * lived
        self._written += now["written"] * lived
        self._output += now["output"] * lived
        processes = max(1, round(now["processes"]))
        self.memory_bytes = round(now["memory"])
        rss = round(self.memory_bytes * (1 + now["shared"] * (processes - 1)))
        if mono - self._pss_at >= PSS_EVERY_S or wants.pss:
            self._pss_at, self._pss_bytes = mono, self.memory_bytes
        if mono - self._io_at >= IO_EVERY_S:
            self._io_at = mono
            fds = round(now["fds"])
            most = max(-(-fds // processes), fds - OTHER_FDS * (processes - 1))
            self._io = {
                "fds": fds,
                "most_fds": round(now.get("most_fds", most)),
                "read_bytes": round(self._read),
                "written_bytes": round(self._written),
            }
        sample = TreeSample(
            at=mono,
            processes=processes,
            stopped=processes if suspended else min(processes, round(now["stopped"])),
            runnable=0 if suspended else round(now.get("runnable", min(processes, round(now["cpu"])))),
            threads=max(processes, round(now["threads"])),
            rss_bytes=rss,
            vsz_bytes=4 * rss,
            cpu_s=round(self._cpu_s, 2),
            switches=int(self._switches),
            output_bytes=int(self._output),
            pss_bytes=self._pss_bytes if self._has_pss else None,
            pss_at=self._pss_at if self._has_pss else None,
            wait_channels=self._waits_at(t) if wants.wait_channels else None,
            **self._io,
        )
        return Seen(sample, self.limits, self._timeline.at(self._u, lived, EPOCH + t), suspended)

    def _waits_at(self, t: float) -> frozenset[str] | None:
        return next((names for periods, names in self._waits if _within(periods, t)), None)


class Play:
    """One scenario with one seed.

    Raises:
        WrongScenario: something in it cannot be understood.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        values, where = scenario.values, f"{scenario.path.name}: {scenario.name}"
        self._scenario = scenario
        machine = Table(values.get("machine", {}), f"{where}.machine", random.Random(seed))
        self._total = round(machine.number("memory", 16e9))
        self._processors = machine.number("processors", 4)
        self._cpus = machine.count("cpus", max(1, round(self._processors)))
        self._disk_total = round(machine.number("disk", 500e9))
        specs = {key: machine.take(key, usual) for key, usual in SYSTEM.items()}
        self._system = quantities(specs, f"{where}.machine", f"{scenario.name}/{seed}")
        machine.done()
        times = Table(values, where, random.Random(seed))
        self._paused, self._slept = times.periods("paused"), times.periods("slept")
        settings = _keys(values.get("settings", {}), f"{where}.settings")
        resolved = settings_of({"sampleInterval": round(1000 * scenario.interval_s), **settings}, where)
        self._limits = MachineLimits.of(resolved, self._total)
        self._runs: list[PlayedRun] = []
        for place, item in enumerate(times.items("run") or [{}]):
            here = f"{where}.run[{place}]"
            table = Table(item, here, random.Random(seed))
            base, count = (
                table.text("name", "run" if place == 0 else f"run{place + 1}"),
                table.count("count", 1),
            )
            for copy in range(count):
                name = base if count == 1 else f"{base}-{copy + 1}"
                if any(name == run.name for run in self._runs):
                    raise WrongScenario(f"{here}.name: there is a run {name!r} already")
                chance = f"{scenario.name}/{seed}/{name}"
                self._runs.append(PlayedRun(name, item, here, chance, settings))
        for place, expected in enumerate(scenario.expected):
            if expected.run and all(expected.run != run.name for run in self._runs):
                names = ", ".join(run.name for run in self._runs)
                raise WrongScenario(f"{where}.expect[{place}].run: {expected.run!r} is none of {names}")

    def told(self) -> Iterator[Told]:
        """Play it to its end; give what is told."""
        scenario, recognition = self._scenario, Recognition()
        mono, t, dt = BOOTED, 0.0, 0.0
        active: set[str] = set()
        while t < scenario.lasts_s:
            t += scenario.interval_s
            if _within(self._slept, t):
                continue
            mono += scenario.interval_s
            dt += scenario.interval_s
            if _within(self._paused, t):
                continue
            alive = {run.name: run for run in self._runs if run.starts_s <= t < run.ends_s}
            for name in active - set(alive):
                yield from self._tell(t, recognition.end(name, mono))
            active = set(alive)
            seen: dict[str, Seen] = {}
            for name, run in alive.items():
                wants = recognition.wants(name, run.limits)
                seen[name] = run.live(t, dt, mono, wants)
            changes = recognition.tick(seen, self._machine(t, dt, mono, alive), self._limits, EPOCH + t)
            yield from self._tell(t, changes)
            dt = 0.0

    def _tell(self, t: float, changes: list[Change]) -> list[Told]:
        return [Told(t, change) for change in changes]

    def _machine(self, t: float, dt: float, mono: float, alive: dict[str, PlayedRun]) -> SystemSample:
        now = {key: item(t, dt) for key, item in self._system.items()}
        used = now["others"] + sum(run.memory_bytes for run in alive.values())
        filled = sum(run.filled_bytes for run in self._runs)
        memory, io = now["memory_pressure"], now["io_pressure"]
        return SystemSample(
            at=mono,
            total_bytes=self._total,
            available_bytes=max(0, round(self._total - used)),
            swap_total_bytes=0,
            swap_used_bytes=0,
            load=now["load"],
            processors=self._processors,
            cpus=self._cpus,
            disk_free_bytes=max(0, round(now["disk_free"] - filled)),
            disk_total_bytes=self._disk_total,
            pressure=Pressure(memory, memory, 0.0, io, io),
        )


def settings_of(values: dict[str, Any], where: str) -> Settings:
    """Give the settings of which a scenario names some, by the last part of their keys."""
    sections = {key.partition(".")[2]: key.partition(".")[0] for key in KEYS}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        nested.setdefault(sections.get(name, "limits"), {})[name] = value
    try:
        return resolve([Layer(where, nested)]).settings
    except ConfigError as error:
        raise WrongScenario(str(error)) from None
