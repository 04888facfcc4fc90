"""The calls of a client that wait for tasks: what they tell needs no telling again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from claudine_mcp.core.alerts import ENDED, asks_permission, is_alert

if TYPE_CHECKING:
    from claudine_mcp.core.models import Event
    from claudine_mcp.front.front import Front
    from claudine_mcp.front.news import Fate
    from claudine_mcp.front.waiting import Waited, Wanted

ASKED_WITHIN_S = 10.0
"""A client that has not asked after a wait for so long may never do so again; they ask every second."""


class Calls:
    """The open calls of one server that wait for tasks, and what those that have answered have told."""

    def __init__(self) -> None:
        self._open: list[Wanted] = []
        self._asked: dict[str, tuple[Wanted, float]] = {}
        self._told: set[int] = set()
        self._told_until: dict[str, int] = {}

    @contextmanager
    def waiting(self, wanted: Wanted) -> Generator[Callable[[Waited], None]]:
        """Count a call as open; it says what it tells. One that is given up tells nothing."""
        self._open.append(wanted)
        try:
            yield lambda waited: self._note(wanted, waited)
        finally:
            self._open.remove(wanted)

    def asked(self, wait_id: str, wanted: Wanted) -> None:
        """Count a wait as open that its client asks after, for as long as it does."""
        self._asked[wait_id] = (wanted, monotonic())

    def left(self, wait_id: str, waited: Waited | None = None) -> None:
        """Count such a wait as over; with `waited`, this was its answer."""
        wanted, _ = self._asked.pop(wait_id, (None, 0.0))
        if wanted is not None and waited is not None:
            self._note(wanted, waited)

    async def fates(self, front: Front) -> Callable[[Event], Fate]:
        """Give what says of an alert or an end whether a call tells it, as things stand now."""
        from claudine_mcp.front.waiting import going_on  # noqa: PLC0415 - start-up time

        awaited = [
            wanted.task_ids
            for wanted in self._waiting()
            if wanted.until == "allEnded" and len(wanted.task_ids) > 1
        ]
        still = await going_on(front, sorted({task_id for ids in awaited for task_id in ids}))
        return lambda event: self.fate(event, still)

    def fate(self, event: Event, still: Collection[str] = ()) -> Fate:
        """Say of an alert or an end whether a call tells it.

        Args:
            event: the alert, or the end.
            still: those of the tasks all of whose ends are waited for that have not ended.
        """
        is_shown = event.type == ENDED and event.seq <= self._told_until.get(event.task_id or "", 0)
        if is_shown or event.seq in self._told:
            return "told"
        return "being told" if any(_tells(wanted, event, still) for wanted in self._waiting()) else "untold"

    def _waiting(self) -> list[Wanted]:
        now = monotonic()
        return [*self._open, *(wanted for wanted, at in self._asked.values() if now - at < ASKED_WITHIN_S)]

    def _note(self, wanted: Wanted, waited: Waited) -> None:
        self._told |= {event.seq for event in waited.events}
        if wanted.until != "event":  # the answer shows the tasks themselves
            self._told_until |= dict.fromkeys(wanted.task_ids, waited.cursor)


def _tells(wanted: Wanted, event: Event, still: Collection[str]) -> bool:
    if wanted.task_ids and event.task_id not in wanted.task_ids:
        return False
    if wanted.until != "event":  # what else happens is told with the end, which may be far away
        if event.type == ENDED:
            # A failure does not wait for the ends of the others.
            others = set(wanted.task_ids) - {event.task_id}
            return wanted.until == "ended" or not is_alert(event) or others.isdisjoint(still)
        is_asked = bool(event.suggestions) and (
            wanted.asked == "all" or (wanted.asked == "questions" and asks_permission(event))
        )
        return wanted.warned_after is not None and event.seq > wanted.warned_after and not is_asked
    is_wanted = not wanted.types or event.type in wanted.types
    return is_wanted and event.severity.rank >= wanted.min_severity.rank and event.seq > (wanted.after or 0)
