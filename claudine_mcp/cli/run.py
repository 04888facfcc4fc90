"""`run`: a command as a task; and the end of whatever follows a task to its end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import anyio
import typer

from claudine_mcp.cli.client import while_supervised, with_front
from claudine_mcp.cli.console import note, say, say_json
from claudine_mcp.cli.options import AsJson, Wait
from claudine_mcp.cli.showing import succeeded, verdict
from claudine_mcp.cli.words import DONE, FAILED, told
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import Task
from claudine_mcp.front.details import task_view
from claudine_mcp.front.following import follow_output
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.front.tasklogs import LogLineView
from claudine_mcp.front.views import shown


def run(
    *,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CMD",
            help="A program and its arguments. A single word with spaces in it is given to the shell.",
        ),
    ] = None,
    shell: Annotated[str | None, typer.Option(help="Instead of CMD: what the shell is to run.")] = None,
    cwd: Annotated[str | None, typer.Option(help="Its working directory; default: this one.")] = None,
    name: Annotated[str | None, typer.Option(help="What people know it by.")] = None,
    priority: Annotated[str | None, typer.Option(help="P0 (goes first), P1 (default) or P2.")] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Added to this environment; may be repeated."),
    ] = None,
    merge_streams: Annotated[
        bool, typer.Option("--merge-streams", help="Write stderr into stdout, in order.")
    ] = False,
    restartable: Annotated[
        bool, typer.Option("--restartable", help="It may safely be started again from the beginning.")
    ] = False,
    depends_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID[:end]",
            help="Start after this task has succeeded; with :end after it has ended; may be repeated.",
        ),
    ] = None,
    not_before: Annotated[str | None, typer.Option(help="Not before this RFC 3339 time.")] = None,
    timeout: Annotated[str | None, typer.Option(help='How long it may take, like "30m".')] = None,
    on_timeout: Annotated[str | None, typer.Option(help="notify (default) or cancel.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="To find it by; may be repeated.")] = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> int:
    """Run a command as a background task.

    It outlives this terminal. Prints its id.

    Options stand before the command: claudine-mcp run --name tests -- make -j4 test
    """
    request = CommandRequest(
        command=command_of(words or [], shell),
        cwd=cwd,
        name=name,
        priority=priority,
        env=dict(variable(text) for text in env or ()),
        merge_streams=merge_streams,
        restartable=restartable,
        depends_on=[dependency(text) for text in depends_on or ()],
        not_before=not_before,
        timeout=timeout,
        on_timeout=on_timeout,
        labels=label or [],
    )

    async def submit(front: Front) -> int:
        task = await front.submit_command(request)
        return await after_submit(front, task, wait=wait, as_json=as_json)

    return with_front(submit)


def command_of(words: Sequence[str], shell: str | None) -> str | list[str]:
    """Give the command: a string for the shell, or a program with its arguments.

    Raises:
        InvalidInput: there is none, or there are two.
    """
    if bool(words) == (shell is not None):
        problem = "it is given twice" if words else "it is missing"
        raise InvalidInput("CMD", problem, "Give either -- PROGRAM ARGUMENTS or --shell STRING.")
    if shell is not None:
        return shell
    return words[0] if len(words) == 1 and " " in words[0] else list(words)


def variable(text: str) -> tuple[str, str]:
    """Read NAME=VALUE.

    Raises:
        InvalidInput: there is no "=" in it.
    """
    name, sign, value = text.partition("=")
    if not sign:
        raise InvalidInput(
            "env", f"{name!r} has no value", "Give NAME=VALUE; what this shell exports is there anyway."
        )
    return name, value


def dependency(text: str) -> dict[str, str]:
    """Read ID or ID:end."""
    task_id, _, on = text.partition(":")
    return {"taskId": task_id, "on": on or "success"}


async def after_submit(front: Front, task: Task, *, wait: bool, as_json: bool) -> int:
    """Print a task that was just submitted or queued again or, with `wait`, its output and how it ended."""
    if wait:
        task = await follow_to_end(front, task, silent=as_json)
    if as_json:
        say_json(shown(await task_view(front, task.id)))
    elif not wait:
        say(task.id)
    return DONE if not wait or succeeded([task]) else FAILED


async def follow_to_end(front: Front, task: Task, *, silent: bool) -> Task:
    """Show the output of a task, each stream where it belongs, until it has ended."""

    def write(line: LogLineView) -> None:
        stream = sys.stderr if line.stream == "stderr" else sys.stdout
        if not silent:
            stream.write(line.text + "\n")
            stream.flush()

    note(told(f"task {task.id}: {task.name}"))
    try:
        task = await while_supervised(front, lambda: follow_output(front, task.id, write))
    except anyio.get_cancelled_exc_class():
        note(f"task {task.id} goes on; `claudine-mcp cancel {task.id}` ends it")
        raise
    note(verdict(task))
    return task
