"""`checkpoints`: what is kept of a task, and to keep it now."""

from __future__ import annotations

from typing import Annotated

import typer

from claudine_mcp.cli.client import with_front
from claudine_mcp.cli.console import note, say, say_json, table
from claudine_mcp.cli.options import AsJson, TaskId
from claudine_mcp.cli.words import DONE
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.front.checkpoints import CheckpointView, list_checkpoints, make_checkpoint
from claudine_mcp.front.front import Front
from claudine_mcp.front.views import shown

SHORT_ID = 12


def checkpoints(
    task_id: TaskId,
    make: Annotated[bool, typer.Option("--make", help="Make one now.")] = False,
    label: Annotated[str | None, typer.Option(help="A word to know the new one by.")] = None,
    as_json: AsJson = False,
) -> int:
    """List the checkpoints of a task, newest first, or make one."""
    if label is not None and not make:
        raise InvalidInput("--label", "no checkpoint is being made", "Give --make, too.")

    async def work(front: Front) -> int:
        if make:
            made = await make_checkpoint(front, task_id, label)
            if as_json:
                say_json(shown(made))
            else:
                _tell(made)
            return DONE
        task, found = await list_checkpoints(front, task_id)
        if as_json:
            say_json({"taskId": task.id, "checkpoints": [shown(item) for item in found]})
        elif found:
            table(("checkpoint", "at", "why", "state", "work tree"), [_row(item) for item in found])
        else:
            note(f"task {task.id} has no checkpoints")
        return DONE

    return with_front(work)


def _row(made: CheckpointView) -> tuple[str, ...]:
    why = made.cause if made.label is None else f"{made.cause}: {made.label}"
    tree = "not kept" if made.commit is None else f"{made.commit[:SHORT_ID]} in {made.repository}"
    return made.checkpoint_id, made.at, why, made.state, tree


def _tell(made: CheckpointView) -> None:
    say(f"checkpoint {made.checkpoint_id}")
    if made.ref is not None:
        say(f"work tree of {made.repository}: {made.commit} under {made.ref}")
    else:
        say(f"no work tree: {made.no_work_tree}")
    for left in made.not_stored or ():
        say(f"not stored: {left['path']} ({left['why']})")
    if made.more_not_stored:
        say(f"not stored: {made.more_not_stored} more")
