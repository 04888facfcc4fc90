"""`wait`, `cancel`, `retry` and `rm`: ends of tasks, and what comes after them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from claudine_mcp.cli.asking import tell_questions
from claudine_mcp.cli.client import while_supervised, with_front
from claudine_mcp.cli.console import note, say, say_json
from claudine_mcp.cli.options import (
    AsJson,
    CwdOption,
    KindOption,
    LabelOption,
    OutcomeOption,
    PriorityOption,
    Reason,
    SinceOption,
    StateOption,
    TaskId,
    TextOption,
    task_filter,
)
from claudine_mcp.cli.showing import succeeded, verdict
from claudine_mcp.cli.submitting import Wait, after_submit
from claudine_mcp.cli.words import DONE, FAILED, told
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import Severity, Task
from claudine_mcp.core.states import State
from claudine_mcp.core.units import human_duration, human_size, parse_duration_ms
from claudine_mcp.front.filters import TaskFilter
from claudine_mcp.front.front import Front
from claudine_mcp.front.removal import Removal, remove_tasks
from claudine_mcp.front.retrying import retry as run_again
from claudine_mcp.front.views import row_of, shown
from claudine_mcp.front.waiting import Wanted, wait_for_events


def wait(
    task_ids: Annotated[
        list[str], typer.Argument(metavar="ID", help="Tasks, or the beginnings of their ids.")
    ],
    any_: Annotated[bool, typer.Option("--any", help="Until one of them has ended, not all.")] = False,
    timeout: Annotated[str | None, typer.Option(help='At most so long, like "10m".')] = None,
    as_json: AsJson = False,
) -> int:
    """Wait until tasks have ended.

    Exits with 0 if those that have ended succeeded, else, or at the timeout, with 1. What they ask meanwhile is
    told on stderr.
    """
    timeout_s = None if timeout is None else parse_duration_ms(timeout, "timeout") / 1000

    async def until(front: Front) -> int:
        ids = list(dict.fromkeys([(await front.task(given)).id for given in task_ids]))
        wanted = Wanted(
            task_ids=ids,
            types=("task:ended",),
            min_severity=Severity.CRITICAL,  # none: the tasks themselves are looked at
            until="ended" if any_ else "allEnded",
        )
        waited = await while_supervised(
            front,
            lambda: wait_for_events(front, wanted, timeout_s, _no_progress),
            tell_questions(front, ids),
        )
        tasks = [await front.task(task_id) for task_id in ids]
        ended = [task for task in tasks if task.state is State.ENDED]
        in_time = bool(ended) if any_ else len(ended) == len(tasks)
        if as_json:
            say_json({"tasks": [shown(row_of(task)) for task in tasks], "why": waited.why})
        else:
            for task in ended:
                say(verdict(task))
        if not in_time:
            note(waited.why)
        return DONE if in_time and succeeded(ended) else FAILED

    return with_front(until)


async def _no_progress(_seconds: float, _what: str) -> None:
    """Say nothing while waiting."""


def cancel(task_id: TaskId, reason: Reason = None, as_json: AsJson = False) -> int:
    """End a task, with all its processes.

    The whole process tree is ended, also what a task left running after its end, and verified to be gone.
    """

    async def end(front: Front) -> int:
        task, result = await front.cancel(task_id, reason)
        if as_json:
            say_json(
                {**shown(row_of(task)), "changed": result["changed"], "stopped": result.get("stopped", {})}
            )
        else:
            say(told(_cancelled(task, result)))
        return DONE

    return with_front(end)


def _cancelled(task: Task, result: dict[str, Any]) -> str:
    if not result["changed"]:
        return f"{task.id}: {result['reason']}"
    stopped: dict[str, Any] = result.get("stopped") or {}
    count = stopped.get("processes", 0)
    text = f"{task.id} {task.outcome}"
    if count:
        noun = "process" if count == 1 else "processes"
        took = human_duration(stopped.get("tookSeconds", 0.0))
        text += f": {count} {noun} ended by {', '.join(stopped.get('signals', ()))} in {took}"
    return text


def retry(
    task_id: TaskId,
    mode: Annotated[
        str | None,
        typer.Option(
            help="Of a Claude Code: resume (default) goes on in its session; fresh begins anew with the same prompt."
        ),
    ] = None,
    wait_: Wait = False,
    as_json: AsJson = False,
) -> int:
    """Run a task that has ended again.

    It is a new run of the same task; a command begins from the start. Prints its id.
    """

    async def again(front: Front) -> int:
        task = await run_again(front, task_id, mode)
        return await after_submit(front, task, wait=wait_, as_json=as_json)

    return with_front(again)


def rm(
    *,
    task_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Tasks; or give options that choose them.")
    ] = None,
    state: StateOption = None,
    outcome: OutcomeOption = None,
    kind: KindOption = None,
    priority: PriorityOption = None,
    label: LabelOption = None,
    cwd: CwdOption = None,
    text: TextOption = None,
    since: SinceOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    as_json: AsJson = False,
) -> int:
    """Remove ended tasks and their output, now.

    Tasks that run, or that others wait for, stay.
    """
    chosen = task_filter(
        state=state,
        outcome=outcome,
        kind=kind,
        priority=priority,
        label=label,
        cwd=cwd,
        text=text,
        submitted_since=since,
    )
    wanted = None if chosen == TaskFilter() else chosen
    if bool(task_ids) == (wanted is not None):
        problem = "give either ids or options that choose tasks"
        raise InvalidInput("ID", problem, "To remove all that have ended: --state ended.")

    async def remove(front: Front) -> int:
        removal = await remove_tasks(front, ids=task_ids, wanted=wanted, dry_run=dry_run)
        if as_json:
            say_json(
                {
                    "removed": removal.removed,
                    "kept": removal.kept,
                    "bytes": removal.bytes,
                    "dryRun": dry_run,
                }
            )
        else:
            _show_removal(removal, dry_run=dry_run)
        return FAILED if task_ids and removal.kept else DONE

    return with_front(remove)


def _show_removal(removal: Removal, *, dry_run: bool) -> None:
    count = len(removal.removed)
    would = "would be " if dry_run else ""
    was = "" if dry_run else "was " if count == 1 else "were "
    noun = "task" if count == 1 else "tasks"
    say(f"{count} {noun} {would}{was}removed ({human_size(removal.bytes)})")
    if dry_run:
        for task_id in removal.removed:
            say(f"  {task_id}")
    for task_id, reason in removal.kept.items():
        note(told(f"{task_id} stays: {reason}"))
