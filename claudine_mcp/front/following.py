"""Following what goes on: the output of a task until it ends, and events for as long as anyone listens."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from claudine_mcp.core.errors import ClaudineError, InvalidInput, RegistryError
from claudine_mcp.core.models import Event, Run, Severity, Task
from claudine_mcp.core.paths import run_directory
from claudine_mcp.core.states import State
from claudine_mcp.front.front import LOOK_EVERY_S, Front
from claudine_mcp.front.logs import cursor_run
from claudine_mcp.front.tasklogs import LogLineView, begin_cursor, log_paths, task_logs
from claudine_mcp.registry.bell import listen
from claudine_mcp.registry.events import events_after, events_before, last_seq
from claudine_mcp.registry.rows import LAST_SEQ
from claudine_mcp.registry.tasks import get_task, runs_of

log = logging.getLogger(__name__)
T = TypeVar("T")

OUTPUT_EVERY_S = 0.2
"""How often the sizes of two files are looked at: output rings no bell."""
LAST_OUTPUT_S = 2.0
"""How long after a task's end its last processes are given to print something."""
LINES = 1000
EVENTS = 200

Write = Callable[[LogLineView], None]


async def follow_output(
    front: Front,
    task_id: str,
    write: Write,
    *,
    stream: str = "both",
    raw: bool = False,
    cursor: str | None = None,
) -> Task:
    """Give every line to `write` until the task has ended; give the task as it is then.

    A task that is queued again is followed into its next run.

    Args:
        front: the client's side of the state directory.
        task_id: whole.
        write: is given each line once, in order within a stream.
        stream: `stdout`, `stderr` or `both`.
        raw: whether control characters are spelt out.
        cursor: where to begin; None: with the first line of the run that is the last one now.

    Raises:
        TaskNotFound: it does not exist, or not any more.
    """
    ended_at: float | None = None
    with listen(front.db.bell) as listener:
        while True:
            async with front.db.read() as tx:
                task = await get_task(tx, task_id)
                runs = await runs_of(tx, task_id)
            over = is_over(front.state_dir, task, runs)
            if task.state is State.ENDED and not over:
                ended_at = time.monotonic() if ended_at is None else ended_at
                over = time.monotonic() - ended_at >= LAST_OUTPUT_S
            if cursor is not None and cursor_run(cursor) < task.run:
                await _drain(front, task_id, cursor, write, raw=raw, stream=stream, final=True)
                cursor = None
            if cursor is None and task.run:
                cursor = begin_cursor(task.run, stream)
            if cursor is not None:
                cursor = await _drain(front, task_id, cursor, write, raw=raw, stream=stream, final=over)
            if over:
                return task
            paths = log_paths(front.state_dir, task_id, task.run)
            seen, looked_at = sizes(paths), time.monotonic()
            while sizes(paths) == seen and time.monotonic() - looked_at < LOOK_EVERY_S:
                if await listener.wait(OUTPUT_EVERY_S):
                    break


def is_over(state_dir: Path, task: Task, runs: list[Run]) -> bool:
    """Whether a task has ended and nothing that belongs to it will print any more, or only what it left behind."""
    if task.state is not State.ENDED:
        return False
    if not runs or task.leftovers or runs[-1].gone_at is not None:
        return True
    return (run_directory(state_dir, task.id, runs[-1].n) / "gone").exists()


async def _drain(
    front: Front, task_id: str, cursor: str, write: Write, *, raw: bool, stream: str, final: bool
) -> str:
    """Write all that there is after the cursor; give the cursor after it."""
    run = cursor_run(cursor)
    while True:
        page = await task_logs(
            front, task_id, tail=LINES, run=run, stream=stream, cursor=cursor, raw=raw, final=final
        )
        for line in page.lines:
            write(line)
        cursor = page.next_cursor or cursor
        if not page.more:
            return cursor


def sizes(paths: Mapping[str, Path]) -> list[int]:
    """Give the length of each file, -1 for one that does not exist."""
    found: list[int] = []
    for path in paths.values():
        try:
            found.append(path.stat().st_size)
        except OSError:
            found.append(-1)
    return found


class RegistryReplaced(RegistryError):
    """The registry that was opened is gone; another has, or will have, events of its own, numbered from 1."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events that came after a cursor, oldest first, and the cursor after them."""

    events: list[Event]
    cursor: int
    more: bool


async def events_page(front: Front, after: int, *, min_severity: Severity) -> EventPage:
    """Give the next events after the cursor."""
    async with front.db.read() as tx:
        end = await last_seq(tx)
        found = await events_after(tx, after, limit=EVENTS, min_severity=min_severity)
    more = len(found) == EVENTS
    return EventPage(found, found[-1].seq if more else max(after, end), more)


async def latest_events(front: Front) -> EventPage:
    """Give the last events, as many as a page holds."""
    async with front.db.read() as tx:
        end = await last_seq(tx)
        found = await events_before(tx, end, limit=EVENTS)
    return EventPage(found, end, more=False)


def check_cursor(after: int) -> int:
    """Give a cursor that a client gave.

    Raises:
        InvalidInput: no event has such a number.
    """
    if not 0 <= after <= LAST_SEQ:
        raise InvalidInput("after", f"{after} is no cursor", "Give the `cursor` of an earlier answer, or 0.")
    return after


async def newest_event(front: Front) -> int:
    """Give the cursor that stands after everything that has happened."""
    async with front.db.read() as tx:
        return await last_seq(tx)


async def follow_events(
    front: Front,
    after: int,
    write: Callable[[Event], None],
    *,
    min_severity: Severity,
    enough: Callable[[], bool],
) -> None:
    """Give every event after the cursor to `write` until it is enough.

    Args:
        front: the client's side of the state directory.
        after: the cursor. One that stands beyond everything is another registry's: then all is new.
        write: is given each event once, in order.
        min_severity: nothing less severe.
        enough: asked every `LOOK_EVERY_S`, and after every page.

    Raises:
        RegistryReplaced: it is not the registry any more that was opened.
        RegistryError: it is out of reach.
    """
    opened = front.db.path.stat()
    cursor = after if after <= await newest_event(front) else 0
    with listen(front.db.bell) as listener:
        while True:
            page = await events_page(front, cursor, min_severity=min_severity)
            for event in page.events:
                write(event)
            cursor = page.cursor
            if enough():
                return
            if not page.more:
                await listener.wait(LOOK_EVERY_S)
            if not _is_still(front.db.path, opened):
                raise RegistryReplaced(f"{front.db.path}: it was removed or replaced")


async def watch_events(front: Front, tell: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
    """Give what happens from now on to `tell`, in order and in pages. Does not return.

    Raises:
        RegistryError: the registry is out of reach.
    """
    cursor = await newest_event(front)
    with listen(front.db.bell) as listener:
        while True:
            page = await events_page(front, cursor, min_severity=Severity.DEBUG)
            if page.events:
                await tell(page.events)
            cursor = page.cursor
            if not page.more:
                await listener.wait(LOOK_EVERY_S)


async def keep_looking(
    look: Callable[[Front], Awaitable[T]], front: Front, tell: Callable[[T], None]
) -> None:
    """Give what `look` finds to `tell`, now and after everything that happens. Does not return."""
    said = ""
    with listen(front.db.bell) as listener:
        while True:
            try:
                tell(await look(front))
                said = ""
            except (ClaudineError, OSError) as error:
                if str(error) != said:
                    log.warning("the registry cannot be read: %s", error)
                said = str(error)
            await listener.wait(LOOK_EVERY_S)


def _is_still(path: Path, opened: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), opened)
    except OSError:
        return False
