"""`demo`: five tasks with different fates, through the real server, before one's eyes."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import cast

import anyio

from claudine_mcp.cli.boards import Live, Plain, Silent
from claudine_mcp.cli.console import note, say, say_json
from claudine_mcp.cli.options import AsJson
from claudine_mcp.cli.words import DONE, FAILED, explained


def demo(as_json: AsJson = False) -> int:
    """Show what becomes of five tasks.

    Starts the real server in a temporary directory and, as its client, runs tasks side by side: one that works,
    one that fails, one that is killed, one that is cancelled with all its processes, and one that outlives the
    server. Takes a few seconds, and leaves nothing behind. Exits with 0 if everything was as it should be.
    """
    from claudine_mcp.cli.scenario import Play  # noqa: PLC0415 - it loads the client's libraries

    folder = Path(tempfile.mkdtemp(prefix="claudine-demo-"))
    board = Silent() if as_json else Live() if sys.stdout.isatty() else Plain()
    play = Play(folder, board.show, board.say)
    try:
        with board.running():
            anyio.run(play.perform)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the demo has failed
        play.failures.append(explained(leaf(error)) or type(leaf(error)).__name__)
    finally:
        if play.is_clean:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            note(f"{folder} was kept: something that belongs to it may still run")
    if as_json:
        rows = [dict(row) for row in play.rows.values()]
        say_json({"asExpected": not play.failures, "failures": play.failures, "tasks": rows})
    elif not play.failures:
        say(f"{len(play.rows)} tasks, each ended as it should; no process and no file is left")
    for failure in play.failures:
        note(failure)
    return FAILED if play.failures else DONE


def leaf(error: BaseException) -> BaseException:
    """Give the first error in a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        error = group.exceptions[0]
    return error
