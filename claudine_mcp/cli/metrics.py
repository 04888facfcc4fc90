"""`metrics`: what a task has used."""

from __future__ import annotations

from typing import Annotated

import typer

from claudine_mcp.cli.client import with_front
from claudine_mcp.cli.console import note, say, say_json, table
from claudine_mcp.cli.options import AsJson, TaskId
from claudine_mcp.cli.words import DONE
from claudine_mcp.core.units import human_duration, human_size
from claudine_mcp.front.front import Front
from claudine_mcp.front.metrics import task_metrics
from claudine_mcp.front.system_views import MetricsView, MetricView
from claudine_mcp.front.views import shown

ROWS = (
    ("rss_bytes", "memory (RSS)"),
    ("pss_bytes", "memory (PSS)"),
    ("vsz_bytes", "address space"),
    ("cpu_percent", "CPU %"),
    ("fds", "descriptors"),
    ("read_bytes", "read from disk"),
    ("written_bytes", "written to disk"),
)


def metrics(
    task_id: TaskId,
    window: Annotated[
        str | None,
        typer.Option(help='How much time, up to now or to its end, like "2h"; default 10 minutes.'),
    ] = None,
    points: Annotated[
        int | None, typer.Option(help="Values of each series at most, 1 to 1000; default 60.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show what a task's whole process tree has used: memory, processor, descriptors, disk."""

    async def look(front: Front) -> int:
        view = await task_metrics(front, task_id, window=window, points=points)
        if as_json:
            say_json(shown(view))
        else:
            _show(view)
        return DONE

    return with_front(look)


def _show(view: MetricsView) -> None:
    for text in view.notes or ():
        note(text)
    if view.newest_sample_age_seconds is None:
        return
    age = human_duration(view.newest_sample_age_seconds)
    say(
        f"run {view.run}: {view.processes} processes, {view.threads} threads {age} ago; {view.begin} to {view.end}"
    )
    rows: list[list[str]] = []
    for name, label in ROWS:
        found: MetricView | None = getattr(view, name)
        if found is not None:
            rows.append([label, *_cells(found, is_size=name.endswith("_bytes")), found.sparkline])
    table(["", "NOW", "MIN", "MEAN", "MAX", "P95", "A MINUTE", ""], rows)


def _cells(found: MetricView, *, is_size: bool) -> list[str]:
    values = [found.current, found.min, found.mean, found.max, found.p95, found.growth_per_minute]
    return ["" if value is None else human_size(value) if is_size else f"{value:g}" for value in values]
