"""A page of a task's output: which run, which streams, from where."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import Kind, Run
from claudine_mcp.core.paths import run_directory
from claudine_mcp.front.conversation import words
from claudine_mcp.front.front import Front
from claudine_mcp.front.logs import LogPage, cursor_run, first_cursor, read_from
from claudine_mcp.front.logs import tail as last_lines
from claudine_mcp.front.system_views import LogLineView, LogsView
from claudine_mcp.registry.tasks import get_task, runs_of

STREAMS = ("stdout", "stderr")
DEFAULT_LINES = 100


async def task_logs(
    front: Front,
    wanted: str,
    *,
    tail: int = DEFAULT_LINES,
    stream: str = "both",
    run: int | None = None,
    cursor: str | None = None,
    raw: bool = False,
    partial: bool = True,
    final: bool = False,
) -> LogsView:
    """Read the output of a task: its last lines, or those after a cursor.

    Args:
        front: the client's side of the state directory.
        wanted: the task's id or the beginning of it.
        tail: how many lines of each stream at most.
        stream: `stdout`, `stderr` or `both`.
        run: which run; None: the one of the cursor, else the last.
        cursor: `nextCursor` of an earlier page; with it the lines after it are given.
        raw: whether control characters are spelt out instead of obeyed.
        partial: whether a last line that may still grow is shown among the last lines.
        final: whether such a line counts as whole: nobody will ask for more.

    Raises:
        TaskNotFound: there is no such task.
        InvalidInput: there is no such run or stream, or the cursor or the number of lines is wrong.
    """
    if stream not in {*STREAMS, "both"}:
        raise InvalidInput("stream", f"{stream[:40]!r} is none", "Give stdout, stderr or both.")
    if tail < (0 if cursor is None else 1):
        raise InvalidInput("tail", f"{tail} is too few", "Give 1 or more.")
    async with front.db.read() as tx:
        task = await get_task(tx, wanted)
        runs = await runs_of(tx, task.id)
    number = run if run is not None else task.run if cursor is None else cursor_run(cursor)
    if number == 0 and run is None:
        return LogsView(task_id=task.id, lines=[], truncated=False, notes=["it has not started yet"])
    chosen = next((item for item in runs if item.n == number), None)
    if chosen is None:
        raise InvalidInput("run", f"task {task.id} has no run {number}", _runs_there_are(runs))
    streams = [name for name in STREAMS if stream in {name, "both"}]
    paths = log_paths(front.state_dir, task.id, number, streams)
    gone = chosen.gone_at is not None
    folder = run_directory(front.state_dir, task.id, number)

    speaks = task.kind is Kind.CLAUDE and not raw and stream != "stderr" and not _has_only_errors(paths)

    def read() -> LogPage:
        # Looked at before the files are, so that nothing can be written in between. The keeper writes it
        # when the last process that could print has left, and the registry follows some time later.
        ended = final or gone or (folder / "gone").exists()
        if speaks:
            return words(paths["stdout"], cursor, tail, run=number, ended=ended)
        if cursor is None:
            return last_lines(paths, tail, run=number, raw=raw, ended=ended, partial=partial)
        return read_from(paths, cursor, tail, run=number, raw=raw, ended=ended)

    page = await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
    notes = page.notes
    if gone and not any(path.exists() for path in paths.values()):
        notes = [*notes, "the output of this run was removed when it was old enough (retention.logs)"]
    if stream == "stderr" and task.spec.get("mergeStreams"):
        notes = [*notes, "this task writes stderr into stdout (mergeStreams)"]
    return LogsView(
        task_id=task.id,
        run=number,
        lines=[LogLineView(stream=line.stream, text=line.text) for line in page.lines],
        next_cursor=page.next_cursor,
        truncated=page.truncated,
        more=page.more or None,
        notes=notes or None,
    )


def _has_only_errors(paths: dict[str, Path]) -> bool:
    """Whether a run that should have spoken has only complained."""
    sizes = {name: path.stat().st_size for name, path in paths.items() if path.exists()}
    return not sizes.get("stdout") and bool(sizes.get("stderr"))


def _runs_there_are(runs: list[Run]) -> str:
    if not runs:
        return "It has not started yet."
    return f"There are runs 1 to {runs[-1].n}." if len(runs) > 1 else "There is run 1."


def log_paths(state_dir: Path, task_id: str, run: int, streams: list[str] | None = None) -> dict[str, Path]:
    """Give the output files of a run by stream; one that was never written does not exist."""
    folder = run_directory(state_dir, task_id, run)
    return {name: folder / f"{name}.log" for name in streams or STREAMS}


def begin_cursor(run: int, stream: str) -> str:
    """Give the cursor that stands before all output of a run."""
    return first_cursor([name for name in STREAMS if stream in {name, "both"}], run=run)
