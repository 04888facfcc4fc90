"""What a caller is yet to be told without having asked: alerts that are open, and tasks that have ended."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from claudine_mcp.core.alerts import ENDED, is_alert
from claudine_mcp.core.models import Event
from claudine_mcp.front.alerts import open_to
from claudine_mcp.front.clients import caller_of, concerning
from claudine_mcp.front.front import Front
from claudine_mcp.registry.alerts import hand_out
from claudine_mcp.registry.events import events_after, last_seq
from claudine_mcp.registry.submitted import submitters_of

PAGE = 500

Fate = Literal["untold", "being told", "told"]
"""Of an alert or an end: whether an answer to one of the caller's own calls tells it, has told it, or neither."""


class News:
    """Gives each alert and each end once, by whichever way it is told first.

    An alert is told when the registry says that it was handed to the caller's session, so that it does not matter by
    whom. Of an end that is no alert the registry says nothing; those that came after the cursor are news.

    Args:
        front: the caller's side of the state directory.
        cursor: where it begins.
        fates: gives what says the fate of an alert or an end now.
    """

    def __init__(
        self, front: Front, cursor: int, fates: Callable[[Front], Awaitable[Callable[[Event], Fate]]]
    ) -> None:
        self._front = front
        self._began = cursor
        self._began_at = time.time()
        self._cursor = cursor
        self._fates = fates
        self._ends: dict[int, Event] = {}

    @property
    def settled(self) -> int:
        """The cursor before the first end that is still to be told."""
        return min(self._ends, default=self._cursor + 1) - 1

    async def untold(self, *, waking: bool = False) -> list[Event]:
        """Give what is to be told now, oldest first. Hold `Front.telling` until it is told.

        Args:
            waking: leave out the alerts that were open before this began: they can wait until the user speaks.
        """
        await self._read_ends()
        fate = await self._fates(self._front)
        self._ends = {seq: event for seq, event in self._ends.items() if fate(event) != "told"}
        found = [event for event in self._ends.values() if fate(event) == "untold"]
        for alert in await open_to(self._front, handed_less_than=1):
            is_news = fate(alert.event) == "untold"
            can_wait = waking and alert.event.seq <= self._began
            is_back = alert.snoozed_until is not None and alert.snoozed_until >= self._began_at
            if is_back or (is_news and not can_wait):
                found.append(alert.event)
        return sorted(found, key=lambda event: event.seq)

    async def told(self, events: Sequence[Event]) -> None:
        """Note that the caller was told of these."""
        alerts = [event.seq for event in events if is_alert(event)]
        if alerts:
            async with self._front.db.write() as tx:
                await hand_out(tx, alerts, caller_of(self._front).session)
        for event in events:
            self._ends.pop(event.seq, None)

    async def _read_ends(self) -> None:
        while True:
            async with self._front.db.read() as tx:
                newest = await last_seq(tx)
                found = await events_after(tx, self._cursor, limit=PAGE, types=[ENDED])
            ends = [event for event in found if not is_alert(event)]
            if ends:
                self._ends |= {event.seq: event for event in await concerning(self._front, ends)}
            if len(found) < PAGE:
                self._cursor = newest
                break
            self._cursor = found[-1].seq


async def of_own_tasks(front: Front, events: Sequence[Event]) -> list[Event]:
    """Give those of some events that are about tasks which the caller's own session submitted."""
    session = caller_of(front).session
    ids = {event.task_id for event in events if event.task_id is not None}
    async with front.db.read() as tx:
        submitters = await submitters_of(tx, ids)
    return [event for event in events if submitters.get(event.task_id or "", {}).get("session") == session]
