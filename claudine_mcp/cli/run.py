"""`run`: a command as a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from claudine_mcp.cli.client import with_front
from claudine_mcp.cli.options import AsJson
from claudine_mcp.cli.submitting import (
    CanCheckpoint,
    CheckpointInterval,
    Cwd,
    DependsOn,
    Labels,
    MinMemory,
    Name,
    NotBefore,
    OnTimeout,
    PreferredMemory,
    PriorityName,
    Timeout,
    Wait,
    Worktree,
    after_submit,
    dependency,
    resources,
)
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest


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
    cwd: Cwd = None,
    name: Name = None,
    priority: PriorityName = None,
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
    depends_on: DependsOn = None,
    not_before: NotBefore = None,
    timeout: Timeout = None,
    on_timeout: OnTimeout = None,
    checkpoint_interval: CheckpointInterval = None,
    label: Labels = None,
    worktree: Worktree = False,
    min_memory: MinMemory = None,
    preferred_memory: PreferredMemory = None,
    can_checkpoint: CanCheckpoint = False,
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
        checkpoint_interval=checkpoint_interval,
        labels=label or [],
        worktree=worktree,
        resources=resources(min_memory, preferred_memory, can_checkpoint=can_checkpoint),
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
