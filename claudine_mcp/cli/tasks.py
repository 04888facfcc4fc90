"""`list` and `status`: what there is, and what is going on."""

from __future__ import annotations

from typing import Annotated

import typer

from claudine_mcp.cli.asking import questions_table
from claudine_mcp.cli.client import with_front
from claudine_mcp.cli.console import note, say, say_json, table
from claudine_mcp.cli.delegated import show_result
from claudine_mcp.cli.options import (
    AsJson,
    CwdOption,
    KindOption,
    LabelOption,
    OutcomeOption,
    PriorityOption,
    SinceOption,
    StateOption,
    TextOption,
    task_filter,
)
from claudine_mcp.cli.showing import (
    alerts_table,
    heading,
    machine_lines,
    reservations_table,
    rows_table,
    task_fields,
    tasks_table,
)
from claudine_mcp.cli.words import DONE
from claudine_mcp.core.units import human_duration
from claudine_mcp.front.details import task_view
from claudine_mcp.front.filters import PAGE
from claudine_mcp.front.front import Front
from claudine_mcp.front.listing import list_tasks
from claudine_mcp.front.overview import Overview, overview
from claudine_mcp.front.views import shown


def list_(
    *,
    state: StateOption = None,
    outcome: OutcomeOption = None,
    kind: KindOption = None,
    priority: PriorityOption = None,
    label: LabelOption = None,
    cwd: CwdOption = None,
    text: TextOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(help="At most so many, 1 to 500.")] = PAGE,
    cursor: Annotated[str | None, typer.Option(help="nextCursor of the page before.")] = None,
    as_json: AsJson = False,
) -> int:
    """List tasks, newest first.

    Of several options all must fit; of one that is repeated, any.
    """
    wanted = task_filter(
        state=state,
        outcome=outcome,
        kind=kind,
        priority=priority,
        label=label,
        cwd=cwd,
        text=text,
        submitted_since=since,
    )

    async def find(front: Front) -> int:
        rows, following = await list_tasks(front, wanted, limit, cursor)
        if as_json:
            page = {"tasks": [shown(row) for row in rows]}
            say_json(page | ({"nextCursor": following} if following else {}))
            return DONE
        if rows:
            tasks_table(rows)
        else:
            note("there are no such tasks")
        if following:
            note(f"there are more; `--cursor {following}` shows the next")
        return DONE

    return with_front(find)


def status(
    task_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="A task; without it, all that is going on.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show one task whole, or all that is going on.

    Without an id: what runs, what waits and why, the supervisor and the machine.
    """

    async def look(front: Front) -> int:
        if task_id is not None:
            view = await task_view(front, task_id)
            if as_json:
                say_json(shown(view))
            else:
                task_fields(view)
                show_result(view)
            return DONE
        whole = await overview(front)
        if as_json:
            say_json(shown(whole))
        else:
            _show_overview(whole)
        return DONE

    return with_front(look)


def _show_overview(whole: Overview) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in whole.counts.items()) or "none"
    say(f"tasks       {counts}")
    caps = whole.concurrency
    say(f"active      {caps.active} of {caps.soft} (P0 up to {caps.hard}); monitoring level {whole.level}")
    say(f"supervisor  {_supervisor(whole)}")
    for line in machine_lines(whole.machine):
        say(line)
    if whole.active:
        say()
        heading("Active")
        rows_table(whole.active)
    asking = [(row, row.question) for row in whole.active if row.question is not None]
    if asking:
        say()
        heading("Waiting for a person")
        questions_table(asking)
    waiting = {row.question.alert_id for row in whole.active if row.question is not None}
    alerts = [alert for alert in whole.open_alerts or () if alert.alert_id not in waiting]
    if alerts:
        say()
        heading("Alerts")
        alerts_table(alerts)
    if whole.reservations:
        say()
        heading("Reserved")
        reservations_table(whole.reservations)
    if whole.queued:
        say()
        heading("Queued")
        rows = [
            [str(task.queue.position), task.task_id, task.priority, task.name, task.queue.reason]
            for task in whole.queued
        ]
        table(["PLACE", "ID", "PRIORITY", "NAME", "WHY"], rows, shorten=3)
    shown_rows = len(whole.active) + len(whole.queued)
    hidden = sum(count for state, count in whole.counts.items() if state != "ended") - shown_rows
    if hidden > 0:
        note(f"{hidden} more are not shown; `claudine-mcp list --state queued` shows them")


def _supervisor(whole: Overview) -> str:
    supervisor = whole.supervisor
    if supervisor.unattended:
        return "none, though there is work; one was started by this command"
    if not supervisor.alive:
        return "none; there is nothing to do"
    pid = "starting" if supervisor.pid is None else f"pid {supervisor.pid}"
    age = supervisor.beat_age_seconds
    return pid if age is None else f"{pid}, last sign of life {human_duration(age)} ago"
