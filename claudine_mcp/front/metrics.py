"""What runs and the machine have used: read from the series that the supervisor keeps, and shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import anyio.to_thread

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import Task
from claudine_mcp.core.samples import OtherClaude, SystemSample
from claudine_mcp.core.series import MACHINE_METRICS, TASK_METRICS, Row, sliced, sparkline, summary
from claudine_mcp.core.states import ACTIVE
from claudine_mcp.core.units import format_time, parse_duration_ms
from claudine_mcp.front.front import Front
from claudine_mcp.front.system_views import (
    Machine,
    MachineHistory,
    MetricsView,
    MetricView,
    OtherClaudeView,
    PressureView,
)
from claudine_mcp.host.system import measure
from claudine_mcp.registry.metrics import MACHINE, SPAN_S, Latest, MetricsError, read_latest, read_series

WINDOW_MS: Final = 600_000
POINTS: Final = 60
MOST_POINTS: Final = 1000
HISTORY_POINTS: Final = 20
FRESH_S: Final = 30.0
"""How old the supervisor's last look at the machine may be to stand for now."""
_DIGITS: Final = 1
"""Of what is not bytes."""


async def task_metrics(
    front: Front, wanted: str, *, window: int | str | None = None, points: int | None = None
) -> MetricsView:
    """Give what the last run of a task has used.

    Args:
        front: the client's side of the state directory.
        wanted: the task's id or the beginning of it.
        window: how much time, in milliseconds or as a duration, up to now or to the run's end; None: 10 minutes.
        points: how many values each series has at most, 1 to 1000; None: 60.

    Raises:
        TaskNotFound: there is no such task.
        InvalidInput: window or points is wrong.
    """
    window_s = (
        WINDOW_MS if window is None else parse_duration_ms(window, "window", minimum=SPAN_S * 1000)
    ) / 1000
    points = POINTS if points is None else points
    if not 1 <= points <= MOST_POINTS:
        raise InvalidInput("points", f"{points} is out of range", f"Give 1 to {MOST_POINTS}.")
    task = await front.task(wanted)
    if task.run == 0:
        return MetricsView(task_id=task.id, notes=["it has not started yet"])
    return await anyio.to_thread.run_sync(_task_view, front.state_dir, task, window_s, points)


def _task_view(state_dir: Path, task: Task, window_s: float, points: int) -> MetricsView:
    run_id, now = f"{task.id}.{task.run}", time.time()
    try:
        latest = read_latest(state_dir, [run_id]).get(run_id)
        end = now if latest is None or task.state in ACTIVE else latest.at
        rows = read_series(state_dir, run_id, end - window_s, end)
    except MetricsError as error:
        return MetricsView(task_id=task.id, run=task.run, notes=[str(error)])
    if latest is None or not rows:
        if task.state in ACTIVE:
            why = "there are no samples yet; they become visible about every 10 s"
        elif latest is None:
            why = (
                "there are no samples of it: it ended before it was looked at, or they were old enough to go"
            )
        else:
            why = "there are no samples in this window"
        return MetricsView(task_id=task.id, run=task.run, notes=[why])
    begin = max(end - window_s, rows[0].at)
    slices = sliced(rows, begin, end, points)
    return MetricsView(
        task_id=task.id,
        run=task.run,
        newest_sample_age_seconds=round(max(0.0, now - latest.at), 1),
        processes=latest.sample["processes"],
        threads=latest.sample["threads"],
        stopped=latest.sample["stopped"] or None,
        begin=format_time(begin),
        end=format_time(end),
        at=[format_time(row.at) for row in slices],
        **_metrics(TASK_METRICS, rows, slices, latest, with_series=True),
    )


def _metrics(
    names: Sequence[str], rows: Sequence[Row], slices: Sequence[Row], latest: Latest, *, with_series: bool
) -> dict[str, Any]:
    return {
        name: _metric(name, place, rows, slices, latest.sample.get(name), with_series=with_series)
        for place, name in enumerate(names)
    }


def _metric(
    name: str, place: int, rows: Sequence[Row], slices: Sequence[Row], current: Any, *, with_series: bool
) -> MetricView | None:
    found = summary(rows, place)
    if found is None:
        return None

    def shown(value: float | None) -> float | int | None:
        if value is None:
            return None
        return round(value) if name.endswith("_bytes") else round(value, _DIGITS)

    means = [None if (stat := row.stats[place]) is None else stat.mean for row in slices]
    return MetricView(
        current=shown(current),
        min=shown(found.low) or 0,
        mean=shown(found.mean) or 0,
        max=shown(found.high) or 0,
        p95=shown(found.p95) or 0,
        growth_per_minute=shown(found.growth_per_minute),
        sparkline=sparkline(means),
        series=[shown(mean) for mean in means] if with_series else None,
    )


async def machine(front: Front, run_ids: Sequence[str]) -> Machine:
    """Measure the machine now, and add its last minutes as far as a supervisor has seen them.

    Args:
        front: the client's side of the state directory.
        run_ids: the active runs, whose memory is ours.
    """
    return await anyio.to_thread.run_sync(_machine, front.state_dir, run_ids)


def _machine(state_dir: Path, run_ids: Sequence[str]) -> Machine:
    now = time.time()
    try:
        latest = read_latest(state_dir, [MACHINE, *run_ids])
        rows = read_series(state_dir, MACHINE, now - WINDOW_MS / 1000, now)
    except MetricsError:  # as long as nothing was sampled; TaskMetrics tells what else there may be
        latest, rows = {}, []
    fresh = {subject: last.sample for subject, last in latest.items() if now - last.at <= FRESH_S}
    known = fresh.pop(MACHINE, None)
    sample = measure(state_dir, None if known is None else OtherClaude(**known["other_claude"]))
    return _machine_view(
        sample, fresh, None if MACHINE not in latest else _history(rows, latest[MACHINE], now)
    )


def _machine_view(
    sample: SystemSample, runs: dict[str, dict[str, Any]], history: MachineHistory | None
) -> Machine:
    pressure, other = sample.pressure, sample.other_claude
    ours = [min(run["rss_bytes"], run["pss_bytes"] or run["rss_bytes"]) for run in runs.values()]
    return Machine(
        memory_available_bytes=sample.available_bytes,
        memory_total_bytes=sample.total_bytes,
        limited_by=sample.limited_by,
        tasks_memory_bytes=sum(ours) if ours else None,
        swap_free_bytes=sample.swap_total_bytes - sample.swap_used_bytes,
        swap_total_bytes=sample.swap_total_bytes,
        load1=round(sample.load, 2),
        cpus=sample.processors,
        disk_free_bytes=sample.disk_free_bytes,
        disk_total_bytes=sample.disk_total_bytes,
        pressure=None
        if pressure is None
        else PressureView(
            cpu=pressure.cpu_some,
            memory=pressure.memory_some,
            memory_full=pressure.memory_full,
            io=pressure.io_some,
            io_full=pressure.io_full,
        ),
        other_claude=OtherClaudeView(
            processes=other.processes, rss_bytes=other.rss_bytes, orphans=other.orphans
        ),
        history=history,
    )


def _history(rows: Sequence[Row], latest: Latest, now: float) -> MachineHistory | None:
    if not rows:
        return None
    begin = rows[0].at
    found = _metrics(
        MACHINE_METRICS, rows, sliced(rows, begin, now, HISTORY_POINTS), latest, with_series=False
    )
    return MachineHistory(
        window_seconds=round(now - begin, 1),
        newest_sample_age_seconds=round(max(0.0, now - latest.at), 1),
        memory_available_bytes=found["available_bytes"],
        load=found["load"],
        memory_pressure=found["memory_pressure"],
    )
