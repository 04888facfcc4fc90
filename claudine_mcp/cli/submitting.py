"""What `run`, `delegate` and `retry` share: the options of every task, and following one to its end."""

from __future__ import annotations

import sys
from typing import Annotated

import anyio
import typer

from claudine_mcp.cli.asking import tell_questions
from claudine_mcp.cli.client import while_supervised
from claudine_mcp.cli.console import note, say, say_json
from claudine_mcp.cli.showing import succeeded, verdict
from claudine_mcp.cli.words import DONE, FAILED, told
from claudine_mcp.core.models import JSON, Task
from claudine_mcp.front.details import task_view
from claudine_mcp.front.following import follow_output
from claudine_mcp.front.front import Front
from claudine_mcp.front.pausing import pause_note
from claudine_mcp.front.tasklogs import LogLineView
from claudine_mcp.front.views import shown

Cwd = Annotated[str | None, typer.Option(help="Its working directory; default: this one.")]
Name = Annotated[str | None, typer.Option(help="What people know it by.")]
PriorityName = Annotated[str | None, typer.Option(help="P0 (goes first), P1 (default) or P2.")]
DependsOn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ID[:end]",
        help="Start after this task has succeeded; with :end after it has ended; may be repeated.",
    ),
]
NotBefore = Annotated[str | None, typer.Option(help="Not before this RFC 3339 time.")]
Timeout = Annotated[str | None, typer.Option(help='How long it may take, like "30m".')]
OnTimeout = Annotated[str | None, typer.Option(help="notify (default), suspend or cancel.")]
CheckpointInterval = Annotated[
    str | None, typer.Option(help='Time between automatic checkpoints, like "10m"; default: the settings\'.')
]
Labels = Annotated[list[str] | None, typer.Option("--label", help="To find it by; may be repeated.")]
Worktree = Annotated[
    bool,
    typer.Option(
        "--worktree",
        help="Work in a git worktree and branch of its own, which are kept at the end if anything was changed.",
    ),
]
CanCheckpoint = Annotated[
    bool,
    typer.Option("--can-checkpoint", help="It may be hibernated without asking when memory is short."),
]
MinMemory = Annotated[
    str | None, typer.Option("--min-memory", help="Start it only where so much is to be had, like 2GB.")
]
PreferredMemory = Annotated[
    str | None, typer.Option("--preferred-memory", help="Try to have so much; less will do.")
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Follow its output until it ends; exit with 0 if it succeeded, else 1.")
]


def dependency(text: str) -> dict[str, str]:
    """Read ID or ID:end."""
    task_id, _, on = text.partition(":")
    return {"taskId": task_id, "on": on or "success"}


def resources(least: str | None, preferred: str | None, *, can_checkpoint: bool) -> JSON | None:
    """Give the options about memory as the front takes them."""
    given: JSON = {"minMemory": least, "preferredMemory": preferred, "canCheckpoint": can_checkpoint or None}
    return {name: value for name, value in given.items() if value is not None} or None


async def after_submit(front: Front, task: Task, *, wait: bool, as_json: bool) -> int:
    """Print a task that was just submitted or queued again or, with `wait`, its output and how it ended."""
    worktree: JSON = task.spec.get("worktree", {})
    if "note" in worktree:
        note(told(f"the worktree of task {task.id}: {worktree['note']}"))
    if paused := await pause_note(front):
        note(told(paused))
    if wait:
        task = await follow_to_end(front, task, silent=as_json)
    if as_json:
        say_json(shown(await task_view(front, task.id)))
    elif not wait:
        say(task.id)
    return DONE if not wait or succeeded([task]) else FAILED


async def follow_to_end(front: Front, task: Task, *, silent: bool) -> Task:
    """Show the output of a task, each stream where it belongs, and what it asks, until it has ended."""

    def write(line: LogLineView) -> None:
        stream = sys.stderr if line.stream == "stderr" else sys.stdout
        if not silent:
            stream.write(line.text + "\n")
            stream.flush()

    note(told(f"task {task.id}: {task.name}"))
    try:
        task = await while_supervised(
            front, lambda: follow_output(front, task.id, write), tell_questions(front, [task.id])
        )
    except anyio.get_cancelled_exc_class():
        note(f"task {task.id} goes on; `claudine-mcp cancel {task.id}` ends it")
        raise
    note(verdict(task))
    return task
