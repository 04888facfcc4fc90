"""Changing what may change of a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.units import parse_duration_ms
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import checked_labels, checked_name, checked_not_before, checked_priority


async def update_task(
    front: Front,
    wanted: str,
    *,
    name: str | None = None,
    priority: str | None = None,
    labels: Sequence[str] | None = None,
    timeout: int | str | None = None,
    not_before: str | None = None,
) -> Task:
    """Change a task; what is None stays as it is. Give the task as it is afterwards.

    Raises:
        InvalidInput: a value is wrong, or nothing is to be changed.
        TaskNotFound: there is no such task.
        NotNow: the task's state does not allow it.
    """
    changes: dict[str, Any] = {}
    if name is not None:
        changes["name"] = checked_name(name)
    if priority is not None:
        changes["priority"] = int(checked_priority(priority))
    if labels is not None:
        changes["labels"] = list(checked_labels(labels))
    if timeout is not None:
        changes["timeout"] = parse_duration_ms(timeout, "timeout")
    if not_before is not None:
        changes["not_before"] = checked_not_before(not_before)
    if not changes:
        raise InvalidInput(
            "name",
            "nothing is to be changed",
            "Give at least one of name, priority, labels, timeout, notBefore.",
        )
    task = await front.task(wanted)
    await front.command(CommandKind.UPDATE, task.id, changes)
    return await front.task(task.id)
