"""Removing ended tasks with their files, or saying what would be removed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio.to_thread

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.paths import task_directory
from claudine_mcp.core.states import State
from claudine_mcp.front import worktrees
from claudine_mcp.front.filters import TaskFilter, filter_of
from claudine_mcp.front.front import Front
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.tasks import Filter, dependents_of, find_tasks, get_task

PAGE = 500
BATCH = 100
"""Tasks that one command removes: the supervisor writes nothing else meanwhile."""
BLOCK_BYTES = 512  # the unit of st_blocks (POSIX)


@dataclass(slots=True)
class Removal:
    """What was removed, or would be.

    Attributes:
        removed: ids.
        kept: id to the reason why it stays.
        bytes: disk space of the files of what was removed.
    """

    removed: list[str] = field(default_factory=list[str])
    kept: dict[str, str] = field(default_factory=dict[str, str])
    bytes: int = 0


async def remove_tasks(
    front: Front,
    *,
    ids: Sequence[str] | None = None,
    wanted: TaskFilter | Mapping[str, object] | None = None,
    dry_run: bool = False,
) -> Removal:
    """Remove ended tasks, named or found; those that run, or that others wait for, stay.

    Args:
        front: the client's side of the state directory.
        ids: of tasks, or the beginnings of them.
        wanted: which tasks; those among them that have not ended are left out.
        dry_run: whether only to look.

    Raises:
        InvalidInput: neither or both were given, or the filter is wrong or empty.
        TaskNotFound: one of `ids` does not exist; nothing was removed.
    """
    if bool(ids) == (wanted is not None):
        raise InvalidInput(
            "taskIds", "give either ids or a filter", 'To remove all that have ended: {"state": "ended"}.'
        )
    removal = Removal()
    async with front.db.read() as tx:
        tasks = await _found(tx, wanted) if wanted is not None else await _named(tx, ids or ())
        for task in tasks if dry_run else ():
            if reason := await _why_it_stays(tx, task) or await worktrees.why_it_stays(task):
                removal.kept[task.id] = reason
            else:
                removal.removed.append(task.id)
    sizes = await anyio.to_thread.run_sync(_sizes, front.state_dir, [task.id for task in tasks])
    for start in range(0, 0 if dry_run else len(tasks), BATCH):
        batch = [task.id for task in tasks[start : start + BATCH]]
        result = await front.command(CommandKind.REMOVE, None, {"taskIds": batch})
        removal.removed += result["removed"]
        removal.kept |= result["kept"]
    removal.bytes = sum(sizes[id_] for id_ in removal.removed)
    return removal


async def _named(tx: Transaction, ids: Sequence[str]) -> list[Task]:
    found = {task.id: task for task in [await get_task(tx, given) for given in ids]}
    return list(found.values())


async def _found(tx: Transaction, wanted: TaskFilter | Mapping[str, object]) -> list[Task]:
    chosen = wanted if isinstance(wanted, TaskFilter) else filter_of(wanted)
    criteria = chosen.criteria()
    if criteria == Filter():
        raise InvalidInput("filter", "it is empty", 'To remove all that have ended: {"state": "ended"}.')
    if set(criteria.states) - {State.ENDED}:
        raise InvalidInput("filter.state", "only tasks that have ended can be removed", 'Give "ended".')
    criteria = replace(criteria, states=(State.ENDED,))
    tasks: list[Task] = []
    while page := await find_tasks(tx, criteria, PAGE, tasks[-1].seq if tasks else None):
        tasks += page
    return tasks


async def _why_it_stays(tx: Transaction, task: Task) -> str | None:
    """Say why the supervisor would not remove a task; None if it would."""
    if task.state is not State.ENDED:
        return f"it is {task.state}"
    if waiting := await dependents_of(tx, task.id):
        return f"task {waiting[0]} waits for it"
    if task.leftovers:
        return "processes that it started still run; CancelTask ends them"
    return None


def _sizes(state_dir: Path, ids: Sequence[str]) -> dict[str, int]:
    """Give the disk space of each task's files, in bytes. Blocks."""
    return {id_: _disk_bytes(task_directory(state_dir, id_)) for id_ in ids}


def _disk_bytes(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * BLOCK_BYTES  # noqa: PTH118 - many
            except OSError:
                continue
    return total
