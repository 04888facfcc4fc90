"""Waiting for something to happen: events by cursor, woken by the bell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import Event, Severity
from claudine_mcp.core.states import Outcome
from claudine_mcp.front.front import LOOK_EVERY_S, Front
from claudine_mcp.registry.bell import listen
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import events_after, last_seq
from claudine_mcp.registry.tasks import get_task, outcomes_of

UNTIL = ("event", "ended", "allEnded")
PAGE = 200
CHATTER = ("task:progress",)
"""Types that nobody waits for who does not name them, or want all with `debug`: they would end each wait in seconds."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are waited for.

    Attributes:
        after: the cursor; None: what happens from now on.
        task_ids: only of these tasks, by whole id; empty: of all.
        types: only of these types; empty: of all but `CHATTER`, which is wanted by those only who want `debug`.
        min_severity: nothing less severe.
        until: `event`: the first that fits; `ended`: one of the tasks has ended; `allEnded`: all have.
    """

    after: int | None = None
    task_ids: Sequence[str] = ()
    types: Sequence[str] = ()
    min_severity: Severity = Severity.INFO
    until: str = "event"


@dataclass(frozen=True, slots=True)
class Waited:
    """What came of waiting: events that fit, the cursor after them, and why it returned."""

    events: list[Event] = field(default_factory=list[Event])
    cursor: int = 0
    why: str = ""


Progress = Callable[[float, str], Awaitable[None]]


async def wait_for_events(
    front: Front, wanted: Wanted, timeout_s: float | None, progress: Progress
) -> Waited:
    """Wait until what is wanted has happened, or the time is over.

    Args:
        front: the client's side of the state directory.
        wanted: what is waited for.
        timeout_s: how long at most; None: for ever.
        progress: told every few seconds how long it has been, and what is going on.

    Raises:
        InvalidInput: `until` needs tasks and none are given.
        TaskNotFound: one of the tasks does not exist.
    """
    if wanted.until != "event" and not wanted.task_ids:
        raise InvalidInput("until", f'"{wanted.until}" speaks of tasks', "Give taskIds, too.")
    began = monotonic()
    wants_all = bool(wanted.types) or wanted.min_severity is Severity.DEBUG
    with listen(front.db.bell) as listener:
        cursor = wanted.after
        collected: list[Event] = []
        while True:
            async with front.db.read() as tx:
                end = await last_seq(tx)
                cursor = end if cursor is None else cursor
                room = PAGE - len(collected)
                found = await events_after(
                    tx,
                    cursor,
                    limit=room,
                    task_ids=wanted.task_ids,
                    types=wanted.types,
                    without=() if wants_all else CHATTER,
                    min_severity=wanted.min_severity,
                )
                outcomes = await _outcomes(tx, wanted.task_ids)
            collected += found
            if len(found) < room:
                cursor = max(cursor, end)
            elif room:  # an answer is full: what comes after is for the next one
                cursor = found[-1].seq
            ended = [task_id for task_id in wanted.task_ids if outcomes[task_id] is not None]
            if wanted.until == "event" and collected:
                return Waited(collected, cursor, "an event")
            if wanted.until == "ended" and ended:
                return Waited(collected, cursor, f"task {ended[0]} has ended ({outcomes[ended[0]]})")
            if wanted.until == "allEnded" and len(ended) == len(wanted.task_ids):
                return Waited(collected, cursor, "all tasks have ended")
            passed = monotonic() - began
            left = LOOK_EVERY_S if timeout_s is None else min(LOOK_EVERY_S, timeout_s - passed)
            if left <= 0:
                return Waited(collected, cursor, f"the timeout of {timeout_s:g} s has passed")
            if not await listener.wait(left):
                of = len(wanted.task_ids)
                what = f"{len(ended)} of {of} tasks have ended" if of else "nothing has happened"
                await progress(monotonic() - began, what)


async def _outcomes(tx: Transaction, ids: Sequence[str]) -> dict[str, Outcome | None]:
    """Give the outcome of each task in one query: there may be hundreds, and the bell rings for each of them."""
    found = await outcomes_of(tx, ids)
    for task_id in ids:
        if task_id not in found:
            await get_task(tx, task_id)  # which says that there is none
    return found
