"""Suspending, hibernating and resuming, as server and command line do it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from claudine_mcp.core.models import JSON, CommandKind, Kind, Task
from claudine_mcp.core.units import human_duration, human_size
from claudine_mcp.front.delegate import check_text
from claudine_mcp.front.front import Front

HARMLESS: Final = (
    "A Claude Code that was waiting for the model goes on as if nothing had happened after up to 48 s; after some "
    "minutes it may ask the model again, which is paid twice; after more than its request timeout it asks again by "
    "itself"
)
"""Seen with 2.1.328: 48 s in the middle of an answer, 340 s, and longer than API_TIMEOUT_MS."""


async def suspend(front: Front, wanted: str, reason: str | None = None) -> tuple[Task, JSON]:
    """Stop a task's whole tree where it stands; give the task as it is afterwards, and what was done.

    Raises:
        NotNow: it is not running, or its processes cannot be stopped; nothing was changed.
    """
    task = await front.task(wanted)
    args = {} if reason is None else {"reason": reason}
    result = await front.command(CommandKind.SUSPEND, task.id, args)
    return await front.task(task.id), result


async def hibernate(front: Front, wanted: str, reason: str | None = None) -> tuple[Task, JSON]:
    """End a task's processes and keep everything else; give the task as it is afterwards, and what was done.

    Raises:
        NotNow: it is not running, or could not go on later; nothing was changed.
    """
    task = await front.task(wanted)
    args = {} if reason is None else {"reason": reason}
    result = await front.command(CommandKind.HIBERNATE, task.id, args)
    return await front.task(task.id), result


async def resume(front: Front, wanted: str, prompt: str | None = None) -> tuple[Task, JSON]:
    """Let a task go on that is suspended or hibernated, or was stopped by someone else; give it, and what was done.

    Args:
        front: the client's side of the state directory.
        wanted: the task's id or the beginning of it.
        prompt: what a hibernated Claude Code is told; None: to go on.

    Raises:
        NotNow: it is none of these; nothing was changed.
        InvalidInput: the prompt is empty, or too long.
    """
    if prompt is not None:
        check_text("prompt", prompt)
    task = await front.task(wanted)
    result = await front.command(CommandKind.RESUME, task.id, {} if prompt is None else {"prompt": prompt})
    return await front.task(task.id), result


def said_of_suspending(task: Task, result: JSON) -> str:
    """Say what a suspension did, and what it does not do."""
    if not result["changed"]:
        return "it was suspended already; now it stays so until you resume it"
    count = result["processes"]
    parts = [
        f"{count} {'process' if count == 1 else 'processes'} stopped in {human_duration(result['tookSeconds'])}"
    ]
    if result["waiting"]:
        parts.append(f"of them {result['waiting']} inside the kernel, which stop when they come out of it")
    parts.append("its memory stays taken: suspending frees none")
    if task.kind is Kind.CLAUDE:
        parts.append(HARMLESS)
    return "; ".join(parts)


def said_of_hibernating(task: Task, result: JSON) -> str:
    """Say what a hibernation did, and what becomes of the task."""
    count: int | None = result["stopped"].get("processes")
    freed: int | None = result.get("freedBytes")
    parts = ["its processes are gone" if not count else f"{count} asked to end, and all are gone"]
    if freed is not None:
        parts.append(f"{human_size(freed)} of memory are free again")
    parts.append(
        "ResumeTask goes on in the same session"
        if task.kind is Kind.CLAUDE
        else "ResumeTask starts it again from its beginning"
    )
    return "; ".join([*parts, *([result["note"]] if "note" in result else [])])


def said_of_resuming(result: JSON) -> str:
    """Say what a resumption did."""
    if "processes" not in result:
        return "it was put into the queue, to go on in its session or, as a command, from its beginning"
    count = result["processes"]
    text = f"{count} {'process goes' if count == 1 else 'processes go'} on"
    suspended_s = result.get("suspendedSeconds")
    return text if suspended_s is None else f"{text} after {human_duration(suspended_s)}"


async def _suspend_for(front: Front, task_id: str, reason: str) -> str:
    return said_of_suspending(*await suspend(front, task_id, reason))


async def _resume_for(front: Front, task_id: str, _reason: str) -> str:
    _, result = await resume(front, task_id)
    return said_of_resuming(result)


async def _hibernate_for(front: Front, task_id: str, reason: str) -> str:
    return said_of_hibernating(*await hibernate(front, task_id, reason))


CONTROLS: Final[Mapping[str, Callable[[Front, str, str], Awaitable[str]]]] = {
    "suspend": _suspend_for,
    "hibernate": _hibernate_for,
    "resume": _resume_for,
}
"""What can be done with a task because of an alert; each gives what was done."""
