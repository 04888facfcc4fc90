"""Waiting for something to happen: events by cursor, woken by the bell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import Event, Severity
from claudine_mcp.core.states import Outcome
from claudine_mcp.front.attention import Asked, needing_someone, why_now
from claudine_mcp.front.front import LOOK_EVERY_S, Front
from claudine_mcp.registry.bell import listen
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import events_after, last_seq
from claudine_mcp.registry.tasks import get_task, outcomes_of

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
        warned_after: a cursor; who waits for an end is also answered when there is an alert after it. None: is not.
        asked: not by what the client's user is asked meanwhile.
    """

    after: int | None = None
    task_ids: Sequence[str] = ()
    types: Sequence[str] = ()
    min_severity: Severity = Severity.INFO
    until: str = "event"
    warned_after: int | None = None
    asked: Asked = "nothing"


@dataclass(frozen=True, slots=True)
class Waited:
    """What came of waiting: events that fit, the cursor after them, and why it returned."""

    events: list[Event] = field(default_factory=list[Event])
    cursor: int = 0
    why: str = ""


Progress = Callable[[float, str], Awaitable[None]]


class Gathering:
    """What has been found so far of what is waited for; looks when it is told to, and never waits itself.

    Args:
        front: the client's side of the state directory.
        wanted: what is waited for.

    Raises:
        InvalidInput: `until` needs tasks and none are given.
    """

    def __init__(self, front: Front, wanted: Wanted) -> None:
        if wanted.until != "event" and not wanted.task_ids:
            raise InvalidInput("until", f'"{wanted.until}" speaks of tasks', "Give taskIds, too.")
        self._front = front
        self._wanted = wanted
        wants_all = bool(wanted.types) or wanted.min_severity is Severity.DEBUG
        self._without = () if wants_all else CHATTER
        self._cursor = wanted.after
        self._collected: list[Event] = []
        self._ended = 0

    async def look(self) -> Waited | None:
        """Read what has happened since the last look; give the answer if that is enough for one.

        Raises:
            TaskNotFound: one of the tasks does not exist.
        """
        wanted = self._wanted
        async with self._front.db.read() as tx:
            end = await last_seq(tx)
            cursor = end if self._cursor is None else self._cursor
            room = PAGE - len(self._collected)
            found = await events_after(
                tx,
                cursor,
                limit=room,
                task_ids=wanted.task_ids,
                types=wanted.types,
                without=self._without,
                min_severity=wanted.min_severity,
            )
            outcomes = await _outcomes(tx, wanted.task_ids)
        self._collected += found
        if len(found) < room:
            cursor = max(cursor, end)
        elif room:  # an answer is full: what comes after is for the next one
            cursor = found[-1].seq
        self._cursor = cursor
        ended = [task_id for task_id in wanted.task_ids if outcomes[task_id] is not None]
        self._ended = len(ended)
        if wanted.until == "event" and self._collected:
            return self.answer("an event")
        if wanted.until == "ended" and ended:
            return self.answer(f"task {ended[0]} has ended ({outcomes[ended[0]]})")
        if wanted.until == "allEnded" and len(ended) == len(wanted.task_ids):
            return self.answer("all tasks have ended")
        return await self._warned()

    async def _warned(self) -> Waited | None:
        """Give the answer if one of the tasks needs someone before it ends."""
        wanted = self._wanted
        if wanted.until == "event" or wanted.warned_after is None:
            return None
        cursor = self._cursor or 0
        is_full = len(self._collected) >= PAGE
        found = await needing_someone(self._front, wanted.task_ids, wanted.warned_after, wanted.asked)
        # What came after the look just now is for the next one, so that nothing is told twice.
        events = [event for event in found if event.seq <= cursor or is_full]
        if not events:
            return None
        collected = {event.seq: event for event in [*self._collected, *events]}
        self._collected = [collected[seq] for seq in sorted(collected)]
        return self.answer(why_now(events, cursor))

    def answer(self, why: str) -> Waited:
        """Give what there is, and say why now."""
        return Waited(self._collected, self._cursor or 0, why)

    @property
    def so_far(self) -> str:
        """How far things are, in words."""
        of = len(self._wanted.task_ids)
        return f"{self._ended} of {of} tasks have ended" if of else "nothing has happened"


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
    gathering = Gathering(front, wanted)
    began = monotonic()
    with listen(front.db.bell) as listener:
        while True:
            waited = await gathering.look()
            if waited is not None:
                return waited
            passed = monotonic() - began
            left = LOOK_EVERY_S if timeout_s is None else min(LOOK_EVERY_S, timeout_s - passed)
            if left <= 0:
                return gathering.answer(timed_out(timeout_s or 0))
            if not await listener.wait(left):
                await progress(monotonic() - began, gathering.so_far)


def timed_out(timeout_s: float) -> str:
    """Say that the time is over."""
    return f"the timeout of {timeout_s:g} s has passed"


async def going_on(front: Front, ids: Sequence[str]) -> list[str]:
    """Give those of some tasks that have not ended."""
    if not ids:
        return []
    async with front.db.read() as tx:
        return [task_id for task_id, outcome in (await outcomes_of(tx, ids)).items() if outcome is None]


async def _outcomes(tx: Transaction, ids: Sequence[str]) -> dict[str, Outcome | None]:
    """Give the outcome of each task in one query: there may be hundreds, and the bell rings for each of them."""
    found = await outcomes_of(tx, ids)
    for task_id in ids:
        if task_id not in found:
            await get_task(tx, task_id)  # which says that there is none
    return found
