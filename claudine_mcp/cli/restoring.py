"""`restore`: going on from a checkpoint."""

from __future__ import annotations

import sys
from typing import Annotated

import anyio.to_thread
import typer

from claudine_mcp.cli.client import with_front
from claudine_mcp.cli.console import note, say, say_json
from claudine_mcp.cli.options import AsJson
from claudine_mcp.cli.words import DONE, FAILED, told
from claudine_mcp.front import restoring
from claudine_mcp.front.front import Front
from claudine_mcp.front.restoring import NEW_TASK, RestoredView
from claudine_mcp.front.views import shown


def restore(
    checkpoint_id: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="As `checkpoints` shows it.")],
    into: Annotated[str, typer.Option(help="new-task, or same-task: put its files back.")] = NEW_TASK,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Put files back even if work is lost that no commit has.")
    ] = False,
    prompt: Annotated[
        str | None, typer.Option(help="What the new Claude Code is told; default: to go on.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Go on from a checkpoint in a new task, or put the files of the same task back."""

    async def work(front: Front) -> int:
        done = await restoring.restore(front, checkpoint_id, into=into, confirm=confirm, prompt=prompt)
        if done.would_lose and not as_json:
            _tell_what_would_be_lost(done)
            if sys.stdin.isatty() and await anyio.to_thread.run_sync(_is_wanted):
                done = await restoring.restore(front, checkpoint_id, into=into, confirm=True)
        if as_json:
            say_json(shown(done))
        else:
            (note if done.would_lose else say)(told(done.done).replace("confirm: true", "--confirm"))
        return FAILED if done.would_lose else DONE

    return with_front(work)


def _tell_what_would_be_lost(done: RestoredView) -> None:
    for path in done.would_lose or ():
        note(told(f"would be lost: {path}"))
    if done.more_would_lose:
        note(f"would be lost: {done.more_would_lose} more")


def _is_wanted() -> bool:
    return typer.confirm("Put the files back all the same?", err=True)
