"""`logs`: the output of a task."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from claudine_mcp.cli.asking import tell_questions
from claudine_mcp.cli.client import while_supervised, with_front
from claudine_mcp.cli.console import note, say_json
from claudine_mcp.cli.options import AsJson, TaskId
from claudine_mcp.cli.words import DONE, told
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.front.following import follow_output
from claudine_mcp.front.front import Front
from claudine_mcp.front.tasklogs import DEFAULT_LINES, LogLineView, task_logs
from claudine_mcp.front.views import shown


class Lines:
    """Writes lines as `tail` does: a heading where the stream changes, none as long as it is all stdout."""

    def __init__(self) -> None:
        self._stream = "stdout"

    def write(self, line: LogLineView) -> None:
        """Write one line, at once."""
        if line.stream != self._stream:
            self._stream = line.stream
            sys.stdout.write(f"==> {line.stream} <==\n")
        sys.stdout.write(line.text + "\n")
        sys.stdout.flush()


def logs(
    *,
    task_id: TaskId,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the task ends.")] = False,
    tail: Annotated[
        int, typer.Option("--tail", "-n", help="How many of the last lines of each stream.")
    ] = DEFAULT_LINES,
    stream: Annotated[str, typer.Option(help="stdout, stderr or both.")] = "both",
    run: Annotated[int | None, typer.Option(help="Which run; default: the last.")] = None,
    cursor: Annotated[
        str | None, typer.Option(help="nextCursor of an earlier answer: only what came after.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Spell control characters out.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show the output of a task.

    Lines that a progress bar has drawn over are shown as it left them.
    """
    if follow and as_json:
        raise InvalidInput("--follow", "there is no JSON without an end", "Read on with --cursor instead.")
    lines = Lines()

    async def show(front: Front) -> int:
        page = await task_logs(
            front, task_id, tail=tail, stream=stream, run=run, cursor=cursor, raw=raw, partial=not follow
        )
        if as_json:
            say_json(shown(page))
            return DONE
        for text in page.notes or ():
            note(text)
        for line in page.lines:
            lines.write(line)
        if follow and (run is None or run == (await front.task(page.task_id)).run):
            await while_supervised(
                front,
                lambda: follow_output(
                    front, page.task_id, lines.write, stream=stream, raw=raw, cursor=page.next_cursor
                ),
                tell_questions(front, [page.task_id]),
            )
        elif cursor is not None:
            note(told(f"read on with --cursor {page.next_cursor}"))
        return DONE

    return with_front(show)
