"""The machine and its tasks in virtual time: memory follows work, work is done only while a task runs."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scenario.series import series
from scenario.shapes import Series
from scenario.values import Table, WrongScenario

from claudine_mcp.core.fields import Level
from claudine_mcp.core.history.machine import MachineHistory
from claudine_mcp.core.history.marks import Marks, Processes
from claudine_mcp.core.models import Priority
from claudine_mcp.core.policy import Action, Condition, Decision, Machine, Standing
from claudine_mcp.core.samples import SystemSample

TICK_S = 1.0
THRASH = 0.1
"""What is left of a machine's speed while more memory is wanted than it has: it swaps."""
SWAP = 0.1
"""Of its memory; when that is used up, too, the kernel ends the largest task."""
RESTART_S = 30.0
"""What is lost of a task's work when it is hibernated, and what it takes to begin again."""
OF_POLICY = "policy"
LEAST_MARKS = 3


class Strategy(Protocol):
    """What is done about memory."""

    def step(self, now: float, machine: Machine, tasks: Sequence[Standing], /) -> list[Decision]:
        """Decide."""
        ...


@dataclass
class Job:
    """A task of the model.

    Attributes:
        starts_s: when it is there.
        work_s: for how long it must run; infinite: for ever, as what only leaks does.
        memory: makes its memory over the time since it was last started.
        done_s: what it has run, less what was lost.
        is_killed: whether the kernel has ended it.
        since_start_s: what it has run since it was last started.
    """

    name: str
    priority: Priority
    starts_s: float
    work_s: float
    request_bytes: int
    critical_bytes: int
    may_hibernate: bool
    begin: Callable[[], Series]
    memory: Series
    condition: Condition = Condition.RUNNING
    bytes_now: float = 0.0
    done_s: float = 0.0
    since_start_s: float = 0.0
    clock_s: float = 0.0
    restart_s: float = 0.0
    is_done: bool = False
    is_killed: bool = False
    stops: int = 0
    marks: Marks = field(default_factory=Marks)

    @property
    def is_over(self) -> bool:
        """Whether it is no more."""
        return self.is_done or self.is_killed

    def run(self, seconds: float) -> None:
        """Get on."""
        self.clock_s += TICK_S
        if self.restart_s > 0:
            self.restart_s -= seconds
            return
        self.done_s += seconds
        self.since_start_s += seconds
        self.bytes_now = max(0.0, self.memory(self.since_start_s, seconds))
        if self.marks.add(self.clock_s, self.bytes_now):
            self.marks.close(self.clock_s, Processes(1, None), 0, 0)
        if self.done_s >= self.work_s:
            self.is_done, self.bytes_now = True, 0.0

    def apply(self, action: Action) -> None:
        """Be stopped, or go on. Stopping frees nothing; what is hibernated has less to show for itself."""
        if action is Action.SUSPEND:
            self.condition, self.stops = Condition.SUSPENDED, self.stops + 1
        elif action is Action.HIBERNATE:
            self.condition, self.bytes_now = Condition.HIBERNATED, 0.0
            self.done_s = max(0.0, self.done_s - RESTART_S)
        elif action in {Action.RESUME, Action.TRIAL}:
            if self.condition is Condition.HIBERNATED:
                self.restart_s, self.since_start_s, self.memory = RESTART_S, 0.0, self.begin()
                self.marks = Marks(self.clock_s)
            self.condition = Condition.RUNNING

    def standing(self) -> Standing:
        """Give what the policy sees of it."""
        return Standing(
            self.name,
            self.priority,
            Level.PROTECTIVE,
            self.condition,
            "" if self.condition is Condition.RUNNING else OF_POLICY,
            round(self.bytes_now),
            self.marks.growth(least=LEAST_MARKS),
            self.marks.steady_growth(),
            self.request_bytes,
            self.critical_bytes,
            self.may_hibernate,
        )


@dataclass(frozen=True)
class Pressure:
    """A scenario: a machine and the tables of its tasks. Numbers that vary are drawn anew for each seed."""

    name: str
    lasts_s: float
    total_bytes: int
    others: Any
    reserve_bytes: int
    jobs: Sequence[Any]

    def jobs_of(self, seed: int, *, consent: bool) -> list[Job]:
        """Draw the tasks."""
        found: list[Job] = []
        for place, table in enumerate(self.jobs):
            for copy in range(int(table.get("copies", 1))):
                rng = random.Random(f"{self.name} {seed} {place} {copy}")
                found.append(
                    _job(dict(table), f"{self.name}[{place}]", f"{place}.{copy}", rng, consent=consent)
                )
        return found


def _job(values: dict[str, Any], where: str, number: str, rng: random.Random, *, consent: bool) -> Job:
    values.pop("copies", None)
    spec = values.pop("memory")
    table = Table(values, where, rng)
    seed = rng.random()

    def begin() -> Series:
        return series(spec, f"{where}.memory", random.Random(seed))

    job = Job(
        f"{table.text('name')}-{number}",
        Priority[table.text("priority", "P1")],
        table.seconds("starts", 0.0),
        table.seconds("work", float("inf")) if "work" in values else float("inf"),
        round(table.number("request", 2e9)),
        round(table.number("critical", 100e9)),
        table.flag("consent", default=False) and consent,
        begin,
        begin(),
    )
    table.done()
    return job


def load(path: Path) -> list[Pressure]:
    """Read the scenarios of a file."""
    found: list[Pressure] = []
    for values in tomllib.loads(path.read_text(encoding="utf-8"))["pressure"]:
        others, jobs = values.pop("others", "2GB"), values.pop("job")
        table = Table(values, values.get("name", "?"), random.Random(0))
        table.text("about")
        total = round(table.number("total", 22e9))
        pressure = Pressure(
            table.text("name"),
            table.some_seconds("lasts", 7200),
            total,
            others,
            round(table.number("reserve", max(1e9, 0.1 * total))),
            jobs,
        )
        table.done()
        pressure.jobs_of(0, consent=True)
        found.append(pressure)
    if not found:
        raise WrongScenario(f"{path}: there is no scenario")
    return found


@dataclass(slots=True)
class Result:
    """What came of it.

    Attributes:
        over_s: for how long more memory was wanted than there is.
        short_s: for how long less was available than is to be kept.
        stopped_s: for how long all were stopped while there was one that could have been completed.
        done: tasks that were completed, of `wanted` (those that only leak apart).
        stops: how often one was suspended.
        asked: how often the user was.
        killed: tasks that the kernel ended.
    """

    over_s: float = 0.0
    short_s: float = 0.0
    stopped_s: float = 0.0
    done: int = 0
    wanted: int = 0
    stops: int = 0
    asked: int = 0
    killed: int = 0


def play(pressure: Pressure, strategy: Strategy, seed: int, *, consent: bool) -> Result:
    """Play a scenario to its end, second by second."""
    jobs = pressure.jobs_of(seed, consent=consent)
    by_name = {job.name: job for job in jobs}
    others = series(pressure.others, f"{pressure.name}.others", random.Random(seed))
    history, result = MachineHistory(), Result(wanted=sum(job.work_s != float("inf") for job in jobs))
    speed, now = 1.0, 0.0
    while now < pressure.lasts_s:
        now += TICK_S
        here = [job for job in jobs if job.starts_s <= now and not job.is_over]
        if not here and all(job.is_over for job in jobs):
            break
        for job in here:
            if job.condition is Condition.RUNNING:
                job.run(speed * TICK_S)
        here = [job for job in here if not job.is_over]
        left = pressure.total_bytes - others(now, TICK_S) - sum(job.bytes_now for job in here)
        if here and left < -SWAP * pressure.total_bytes:
            lost = max(here, key=lambda job: job.bytes_now)
            lost.is_killed = True
            here.remove(lost)
            left += lost.bytes_now
        speed = THRASH if left < 0 else 1.0
        available = round(max(0.0, left))
        history.fold(_sample(now, pressure.total_bytes, available), 10.0)
        result.over_s += TICK_S * (left < 0)
        result.short_s += TICK_S * (available < pressure.reserve_bytes)
        exhausted_in_s = history.exhausted_in_s if history.is_below_its_habit() else None
        machine = Machine(available, pressure.reserve_bytes, exhausted_in_s)
        for decision in strategy.step(now, machine, [job.standing() for job in here]):
            result.asked += decision.action is Action.ASK
            if decision.task_id is not None:
                by_name[decision.task_id].apply(decision.action)
        result.stopped_s += TICK_S * (
            any(job.work_s != float("inf") for job in here)
            and all(job.condition is not Condition.RUNNING for job in here)
        )
    result.done = sum(job.is_done for job in jobs)
    result.killed = sum(job.is_killed for job in jobs)
    result.stops = sum(job.stops for job in jobs)
    return result


def _sample(at: float, total: int, available: int) -> SystemSample:
    return SystemSample(at, total, available, 0, 0, 1.0, 8.0, 10**11, 10**12)
