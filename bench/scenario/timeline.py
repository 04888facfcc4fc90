"""What the run of a scenario says of itself, as time goes by: the phases of a delegated Claude Code, or stages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from claudine_mcp.core.activity import SILENT, Activity, RunningTool
from claudine_mcp.workloads.claude_state import Phase
from scenario.series import series
from scenario.shapes import MOST_SPREAD, Series
from scenario.values import Table, WrongScenario

NO_PROGRESS = frozenset({"retrying", "rate_limited"})
"""Phases whose beginning is no sign of life: the stream says that it must try again."""
ENDLESS_S = 1e9
MANY = 10**6


class Step(NamedTuple):
    """One entry of a timeline, durations drawn."""

    lasts_s: float
    activity: Activity
    until_s: float | None
    speaks_every_s: float
    is_silent: bool


class Timeline:
    """Gives what a run says of itself at each tick: the same object for as long as nothing changes.

    Args:
        spec: the list of steps, None for a run that says nothing.
        progress: percentage over time, None where there is none.
        where: for errors.
        rng: draws what varies.
    """

    def __init__(self, spec: Any, progress: Any, where: str, rng: random.Random) -> None:
        self._steps = iter(()) if spec is None else _unroll(spec, where, rng)
        if spec is not None:
            _check(spec, where)
        self._says = spec is not None
        self._progress: Series | None = None
        if progress is not None:
            self._progress = series(progress, f"{where}.progress", rng)
        self._ends = 0.0
        self._step: Step | None = None
        self._speaks_at = ENDLESS_S
        self._active_at: float | None = None
        self._calls: tuple[str, ...] = ()
        self._now = SILENT

    def at(self, u: float, dt: float, wall: float) -> Activity:
        """Give what it says at the time `u` of the run; `wall`: seconds since the epoch."""
        while self._says and u >= self._ends:
            step = next(self._steps, None)
            if step is None:
                self._says = False
                break
            self._begin(step, self._ends, wall - (u - self._ends))
        if u >= self._speaks_at and self._step is not None:
            self._active_at = wall
            self._speaks_at = u + self._step.speaks_every_s
            self._now = replace(self._now, active_at=self._active_at)
        if self._progress is not None:
            percent = round(self._progress(u, dt), 1)
            if percent != self._now.progress:
                self._now = replace(self._now, progress=percent)
        return self._now

    def _begin(self, step: Step, at: float, wall: float) -> None:
        activity, self._step = step.activity, step
        self._ends = at + step.lasts_s
        if activity.phase and activity.phase not in NO_PROGRESS and not step.is_silent:
            self._active_at = wall
        self._speaks_at = at + step.speaks_every_s
        if activity.calls:
            self._calls = (*self._calls, *activity.calls)[-50:]
        tools = tuple(RunningTool(tool.label, wall) for tool in activity.tools)
        self._now = replace(
            activity,
            active_at=self._active_at,
            since=wall,
            tools=tools,
            calls=self._calls,
            until=None if step.until_s is None else wall + step.until_s,
            progress=self._now.progress if activity.progress is None else activity.progress,
        )


def _check(spec: Any, where: str, *, ends: bool = False) -> None:
    """Read every step once, so that mistakes are known before the scenario is played."""
    if not isinstance(spec, list) or not spec:
        raise WrongScenario(f"{where}: a timeline is a list of steps")
    for place, item in enumerate(spec):
        here = f"{where}[{place}]"
        table = Table(item, here, random.Random())
        if table.has("repeat"):
            steps = table.take("repeat")
            table.count("times", MANY, MANY)
            table.done()
            _check(steps, f"{here}.repeat", ends=True)
        else:
            _read(table, may_last=not ends and place == len(spec) - 1)


def _unroll(spec: Any, where: str, rng: random.Random) -> Iterator[Step]:
    for place, item in enumerate(spec):
        here = f"{where}[{place}]"
        table = Table(item, here, rng)
        if table.has("repeat"):
            steps = table.take("repeat")
            for _ in range(table.count("times", MANY, MANY)):
                yield from _unroll(steps, f"{here}.repeat", rng)
        else:
            yield _read(table, may_last=place == len(spec) - 1)


def _read(table: Table, *, may_last: bool) -> Step:
    lasts_s = table.some_seconds("for", ENDLESS_S if may_last else None)
    jitter = table.share("jitter", 0)
    spread = table.share("spread", 0, MOST_SPREAD)
    lasts_s *= table.rng.lognormvariate(0.0, spread) if spread else table.rng.uniform(1 - jitter, 1 + jitter)
    phase = table.text("phase")
    if phase and phase not in set(Phase):
        raise WrongScenario(
            f"{table.where}: phase {phase!r} is none of {', '.join(Phase)}; write stage for others"
        )
    call = table.text("call")
    activity = Activity(
        phase=phase,
        tools=tuple(RunningTool(label) for label in table.texts("tools")),
        permission=table.text("permission"),
        attempt=int(table.number("attempt", 0)),
        attempts=int(table.number("attempts", 0)),
        error=table.text("error"),
        background=tuple(table.texts("background")),
        calls=(call,) if call else (),
        last_tool=call,
        stage=table.text("stage"),
        progress=table.number("progress") if table.has("progress") else None,
        has_pulse=bool(phase),
    )
    until_s = table.seconds("until") if table.has("until") else None
    is_silent = table.flag("silent", default=False)
    step = Step(lasts_s, activity, until_s, table.some_seconds("speaks", ENDLESS_S), is_silent)
    table.done()
    return step
