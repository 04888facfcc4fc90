"""Keeping memory and slots free: for a task until it starts, or for a time."""

from __future__ import annotations

import logging
from typing import Final

from claudine_mcp.core.admission.reserving import expected_bytes, never_fits
from claudine_mcp.core.errors import NotNow
from claudine_mcp.core.models import JSON, Command, Event, Severity, Task
from claudine_mcp.core.states import State
from claudine_mcp.core.units import format_time, human_size
from claudine_mcp.registry.commands import finish_command
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.reservations import (
    Reserved,
    add_reservation,
    delete_reservation,
    drop_expired,
    reservations,
)
from claudine_mcp.registry.tasks import get_task
from claudine_mcp.supervisor.context import Context

log = logging.getLogger(__name__)

RESERVED: Final = "queue:reserved"
RELEASED: Final = "queue:released"
_NOT_FOR: Final = {
    State.HIBERNATED: "ResumeTask queues it, and then something can be kept for it",
    State.ENDED: "RetryTask queues it again",
}


class Reserving:
    """Carries out `reserve`, which also releases, and drops what is over.

    Args:
        ctx: the supervisor's surroundings.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def reserve(self, command: Command) -> None:
        """Keep something free, or release it.

        Raises:
            NotNow: so much can never be free, the task does not wait, or what is to be released is not there.
        """
        if "release" in command.args:
            await self._release(command, command.args["release"])
            return
        situation = await self._ctx.situation()
        now = self._ctx.wall()
        async with self._ctx.db.write() as tx:
            task = None if command.task_id is None else await self._waiting(tx, command.task_id)
            memory: int | None = command.args.get("memoryBytes")
            if memory is None:
                known = next((each for each in situation.waiting if each.id == command.task_id), None)
                memory = 0 if known is None else expected_bytes(known, situation.n_sigma)
            lasts_ms: int | None = command.args.get("durationMs")
            wanted = Reserved(
                command.args["reservationId"],
                memory,
                command.args["slots"],
                command.task_id,
                None if lasts_ms is None else now + lasts_ms / 1000,
                at=now,
                by=command.origin.get("by", "the user"),
            )
            if (problem := never_fits(wanted, situation)) is not None:
                raise NotNow(problem)
            await add_reservation(tx, wanted)
            await add_event(tx, _told(RESERVED, Severity.NOTICE, f"{said(wanted, task)}, by {wanted.by}", wanted, now))
            await finish_command(tx, command.id, {"changed": True, "reservationId": wanted.id}, now)
        self._ctx.trace("reserve-committed")

    async def _waiting(self, tx: Transaction, task_id: str) -> Task:
        task = await get_task(tx, task_id)
        if task.state is State.QUEUED:
            return task
        instead = _NOT_FOR.get(task.state, "it has what it needs")
        raise NotNow(f"taskId: task {task.id} is {task.state}; something can be kept for a queued task: {instead}")

    async def _release(self, command: Command, reservation_id: str) -> None:
        now = self._ctx.wall()
        async with self._ctx.db.write() as tx:
            found = next((each for each in await reservations(tx, now) if each.id == reservation_id), None)
            if found is None:
                raise NotNow(f"release: reservation {reservation_id} is over, or its task has started")
            await delete_reservation(tx, found.id)
            by = command.origin.get("by", "the user")
            text = f"{human(found)} are free for others again: released by {by}"
            await add_event(tx, _told(RELEASED, Severity.NOTICE, text, found, now, why="released"))
            await finish_command(tx, command.id, {"changed": True, "reservationId": found.id}, now)
        self._ctx.trace("reserve-committed")

    async def drop_expired(self) -> None:
        """Remove the reservations whose time is over, and say so."""
        now = self._ctx.wall()
        async with self._ctx.db.read() as tx:
            known = await expired(tx, now)
        if not known:
            return
        async with self._ctx.db.write() as tx:
            for each in await drop_expired(tx, now):
                text = f"{human(each)} are free for others again: the time of reservation {each.id} is over"
                await add_event(tx, _told(RELEASED, Severity.INFO, text, each, now, why="expired"))
        self._ctx.admission_due = True


def human(reservation: Reserved) -> str:
    """Name what is kept."""
    slots = f"{reservation.slots} {'slot' if reservation.slots == 1 else 'slots'}"
    if not reservation.memory_bytes:
        return slots
    memory = f"{human_size(reservation.memory_bytes)} of memory"
    return f"{memory} and {slots}" if reservation.slots else memory


def said(reservation: Reserved, task: Task | None) -> str:
    """Say what is kept, for whom and how long."""
    ends = [] if task is None else [f"task {task.name} ({task.id}) starts"]
    if reservation.until is not None:
        ends.append(format_time(reservation.until))
    return f"{human(reservation)} are kept free until {' or '.join(ends)}"


def _told(type_: str, severity: Severity, text: str, about: Reserved, at: float, **more: str) -> Event:
    data: JSON = {
        "reservationId": about.id,
        "memoryBytes": about.memory_bytes,
        "slots": about.slots,
        **({} if about.until is None else {"until": format_time(about.until)}),
        **({} if about.task_id is None else {"taskId": about.task_id}),
        **more,
    }
    return Event(type_, severity, text, at, data=data)
