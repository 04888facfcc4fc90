"""What reservations keep from whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from claudine_mcp.core.admission.model import Reservation, Waiting


class Kept(NamedTuple):
    """What is kept from one task: memory and slots, and by which reservations."""

    memory_bytes: int = 0
    slots: int = 0
    ids: tuple[str, ...] = ()


NOTHING = Kept()


class Claims:
    """The reservations in force.

    A reservation is for its task, and for those that it depends on: kept from them, too, nobody would ever use it.

    Args:
        reservations: all that are known.
        waiting: all queued tasks, by id.
        active: ids of the tasks that have started: their reservations are used up.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        reservations: Iterable[Reservation],
        waiting: Mapping[str, Waiting],
        active: Collection[str],
        now: float,
    ) -> None:
        self._live = [
            item
            for item in reservations
            if (item.until is None or item.until > now) and item.task_id not in active
        ]
        self._holders = {
            item.id: _with_dependencies(item.task_id, waiting)
            for item in self._live
            if item.task_id is not None
        }
        self._served = {task_id for ids in self._holders.values() for task_id in ids}
        self._from_others = _sum(self._live)

    @property
    def end_at(self) -> float | None:
        """When the first of them ends by itself; None: none does."""
        return min((item.until for item in self._live if item.until is not None), default=None)

    def serves(self, task_id: str) -> bool:
        """Whether something is reserved for this task."""
        return task_id in self._served

    def kept_from(self, task_id: str) -> Kept:
        """Give what this task must leave."""
        if task_id not in self._served:
            return self._from_others
        return _sum([item for item in self._live if task_id not in self._holders.get(item.id, ())])

    def start(self, task_id: str) -> None:
        """Note that a task starts: what was kept for it is now taken."""
        if task_id in self._served:
            self._live = [item for item in self._live if item.task_id != task_id]
            self._from_others = _sum(self._live)


def _with_dependencies(task_id: str, waiting: Mapping[str, Waiting]) -> set[str]:
    found: set[str] = set()
    to_see = [task_id]
    while to_see:
        each = to_see.pop()
        if each not in found:
            found.add(each)
            to_see += [item.task_id for item in waiting[each].depends_on] if each in waiting else []
    return found


def _sum(items: Sequence[Reservation]) -> Kept:
    if not items:
        return NOTHING
    memory, slots = sum(item.memory_bytes for item in items), sum(item.slots for item in items)
    return Kept(memory, slots, tuple(item.id for item in items))
