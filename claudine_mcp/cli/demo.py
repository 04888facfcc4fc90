"""`demo`: tasks with different fates, through the real server, before one's eyes."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import anyio
import typer

from claudine_mcp.cli.boards import Board, Live, Plain, Silent
from claudine_mcp.cli.console import note, say, say_json
from claudine_mcp.cli.delegated import dollars
from claudine_mcp.cli.options import AsJson
from claudine_mcp.cli.words import DONE, FAILED, explained
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.front.delegate import check_depth, program
from claudine_mcp.front.submit import task_environment
from claudine_mcp.host.settings import load_settings

if TYPE_CHECKING:
    from claudine_mcp.cli.stage import Play

MODEL = "haiku"
"""Claude Code's name for its smallest."""


def demo(
    claude: Annotated[
        bool,
        typer.Option("--claude", help="With three tiny prompts for Claude Code, under your own account."),
    ] = False,
    model: Annotated[
        str | None, typer.Option(help=f"With --claude: as of Claude Code; default: {MODEL}.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --claude: start without asking at the terminal.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Show what becomes of five tasks.

    Starts the real server in a temporary directory and, as its client, runs tasks side by side: one that works,
    one that fails, one that is killed, one that is cancelled with all its processes, and one that outlives the
    server. Takes a few seconds, and leaves nothing behind. Exits with 0 if everything was as it should be.

    With --claude, three delegated runs of the real Claude Code instead: one that answers, one that asks for a
    permission and gets it, and one that is killed while it uses a tool and goes on in its session. It costs money,
    and says how much at most before it starts.
    """
    if not claude and (model is not None or yes):
        raise InvalidInput("--yes" if yes else "--model", "only --claude has a use for it", "Add that.")
    found = claude_program() if claude else None
    if found is not None:
        warn_of_cost(found, model or MODEL, ask=not yes, on_stderr=as_json)
    folder = Path(tempfile.mkdtemp(prefix="claudine-demo-")).resolve()
    board = Silent() if as_json else Live() if sys.stdout.isatty() else Plain()
    play = chosen_play(folder, board, found, model or MODEL)
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
    else:
        play.conclude()
    for failure in play.failures:
        note(failure)
    return FAILED if play.failures else DONE


def claude_program() -> str:
    """Find Claude Code as a delegation would; give its path.

    Raises:
        InvalidInput: it is missing, or too old.
        NotNow: this is a delegated Claude Code already.
    """
    settings = load_settings(os.environ).settings
    check_depth(os.environ, settings)
    return anyio.run(program, settings.claude.command, task_environment(os.environ, None), ())


def warn_of_cost(path: str, model: str, *, ask: bool, on_stderr: bool) -> None:
    """Say what it may cost, and let the user decide.

    Raises:
        InvalidInput: there is nobody to ask.
        typer.Abort: the user does not want it.
    """
    if ask and not (sys.stdin.isatty() and sys.stderr.isatty()):
        what = "it costs money, and there is no terminal to ask at"
        raise InvalidInput("--yes", what, "Give it to go on without a question.")
    from claudine_mcp.cli.claude_scenario import BUDGET_USD, STARTS  # noqa: PLC0415 - as below

    (note if on_stderr else say)(
        f"This starts the real Claude Code ({path}) under your own account, with the model {model}: {STARTS} times, "
        f"each stopped once it has cost {dollars(BUDGET_USD)}. So it costs little more than "
        f"{dollars(STARTS * BUDGET_USD)} at the very most, in money or as a part of your plan's limits."
    )
    sys.stdout.flush()  # it must have been said before
    if ask:
        typer.confirm("Go on?", abort=True, err=True)


def chosen_play(folder: Path, board: Board, claude: str | None, model: str) -> Play:
    """Give what is to be played: with this Claude Code, or without one."""
    # Both load the libraries of a client.
    if claude is None:
        from claudine_mcp.cli.scenario import CommandsPlay  # noqa: PLC0415

        return CommandsPlay(folder, board.show, board.say)
    from claudine_mcp.cli.claude_scenario import ClaudePlay  # noqa: PLC0415

    return ClaudePlay(folder, board.show, board.say, program=claude, model=model)


def leaf(error: BaseException) -> BaseException:
    """Give the first error in a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        error = group.exceptions[0]
    return error
