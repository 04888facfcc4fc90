"""Keeping memory and slots free: for a task until it starts, or for a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from claudine_mcp.core.admission import Reservation, Situation
from claudine_mcp.core.admission.reserving import USUAL_S, Cost, costs, expected_bytes, never_fits
from claudine_mcp.core.admission.soft_cap import SoftCap
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
    next_end,
    over_reservations,
    reservations,
    reservations_for,
)
from claudine_mcp.registry.situation import Standing, read_situation, standing
from claudine_mcp.registry.tasks import get_task
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.survey import Survey

MOST_NAMED: Final = 20
"""So many tasks that a reservation delays are named; the others are counted."""
_NOT_FOR: Final = {
    State.HIBERNATED: "ResumeTask queues it, and then something can be kept for it",
    State.ENDED: "RetryTask queues it again",
}
_WHY: Final = {
    "expired": "its time is over",
    "used": "its task has started",
    "ended": "its task has ended without having started",
}


class Reserving:
    """Carries out `reserve`, which also releases, and removes what is over.

    Args:
        ctx: the supervisor's surroundings.

    Attributes:
        ends_at: when the next reservation ends by itself, seconds since the epoch; None: none does.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._survey = Survey(ctx)
        self._has_any = True  # until it was looked whether a supervisor before this one has left some
        self.ends_at: float | None = None

    async def reserve(self, command: Command) -> None:
        """Keep something free, or release it; say so, and answer: one transaction.

        Raises:
            NotNow: so much can never be free, the task does not wait, or what is to be released is not there.
            TaskNotFound: the task was removed.
        """
        self._has_any = True
        if "release" in command.args:
            await self._release(command, command.args["release"])
        else:
            await self._reserve(command)
        self._ctx.trace("reserve-committed")

    async def _reserve(self, command: Command) -> None:
        situation = await self._situation()
        async with self._ctx.db.write() as tx:
            task = None if command.task_id is None else await _waiting(tx, command.task_id)
            wanted = self._wanted(command, task, situation)
            if (problem := never_fits(wanted, situation)) is not None:
                raise NotNow(problem)
            for gone in [] if task is None else await reservations_for(tx, task.id):
                await self._drop(tx, gone, f"reservation {wanted.id} takes its place", "replaced")
            delays = await _delays(tx, costs(situation, wanted))
            text = f"{said(wanted, task)}. By {wanted.by}, reservation {wanted.id}"
            event = Event(
                "queue:reserved",
                Severity.NOTICE,
                text,
                wanted.at,
                data={**_data(wanted), "by": wanted.by, "delays": delays["count"]},
            )
            await add_reservation(tx, wanted)
            await add_event(tx, event)
            result: JSON = {"changed": True, "said": said(wanted, task), "delays": delays}
            await finish_command(tx, command.id, result, wanted.at)

    async def _situation(self) -> Situation:
        """Give what admission would go by now."""
        ctx, machine = self._ctx, await self._survey.machine()
        usual = ctx.settings.limits.soft_max_concurrent
        async with ctx.db.read() as tx:
            known = await standing(tx) or Standing(0.0, SoftCap(usual, usual))
            going_by = replace(known, at=ctx.wall(), machine=machine, memory=ctx.memory_hold)
            return await read_situation(tx, ctx.settings, ctx.demand, ctx.memory, going_by)

    def _wanted(self, command: Command, task: Task | None, situation: Situation) -> Reserved:
        now, args = self._ctx.wall(), command.args
        memory: int | None = args.get("memoryBytes")
        if memory is None:
            known = next((each for each in situation.waiting if each.id == command.task_id), None)
            memory = 0 if known is None else expected_bytes(known, situation.n_sigma)
        lasts_ms: int | None = args.get("durationMs")
        if lasts_ms is None:
            # What it is kept for may have its time: it is needed from then on.
            begins = now if task is None or task.not_before is None else max(now, task.not_before)
            until = begins + USUAL_S
        else:
            until = now + lasts_ms / 1000
        return Reserved(
            args["reservationId"],
            memory,
            args["slots"],
            command.task_id,
            until,
            at=now,
            by=command.origin.get("by", "the user"),
        )

    async def _release(self, command: Command, reservation_id: str) -> None:
        now = self._ctx.wall()
        async with self._ctx.db.write() as tx:
            found = next((each for each in await reservations(tx, now) if each.id == reservation_id), None)
            if found is None:
                raise NotNow(f"release: reservation {reservation_id} is over, or its task has started")
            by = command.origin.get("by", "the user")
            text = await self._drop(tx, found, f"released by {by}", "released")
            await finish_command(tx, command.id, {"changed": True, "said": text}, now)

    async def sweep(self) -> None:
        """Remove the reservations that are over, and say why."""
        if not self._has_any:
            return
        now = self._ctx.wall()
        async with self._ctx.db.read() as tx:
            over = await over_reservations(tx, now)
        if over:
            self.ends_at = None  # where the disk is full, it is tried again with the next pass, not at once
            async with self._ctx.db.write() as tx:
                for each, why in over:
                    await self._drop(tx, each, _WHY[why], why)
            self._ctx.admission_due = True
            self._ctx.trace("reservations-swept")
        async with self._ctx.db.read() as tx:
            count, self.ends_at = await next_end(tx, now)
        self._has_any = bool(count)

    async def _drop(self, tx: Transaction, gone: Reservation, reason: str, why: str) -> str:
        """Remove one and say so; give what was said."""
        text = f"not kept free any more: {amount(gone)}; {reason} (reservation {gone.id})"
        if await delete_reservation(tx, gone.id):
            data = {**_data(gone), "why": why}
            severity = Severity.NOTICE if why == "released" else Severity.INFO
            await add_event(tx, Event("queue:released", severity, text, self._ctx.wall(), data=data))
        return text


async def _waiting(tx: Transaction, task_id: str) -> Task:
    task = await get_task(tx, task_id)
    if task.state is State.QUEUED:
        return task
    instead = _NOT_FOR.get(task.state, "it has what it needs")
    raise NotNow(
        f"taskId: task {task.id} is {task.state}; something can be kept for a queued task: {instead}"
    )


async def _delays(tx: Transaction, found: list[Cost]) -> JSON:
    """Give the tasks that would start now but for a reservation: how many, and the first ones by name."""
    named = [
        {"taskId": cost.task_id, "name": (await get_task(tx, cost.task_id)).name, "rule": cost.rule}
        for cost in found[:MOST_NAMED]
    ]
    return {"count": len(found), "named": named}


def amount(reservation: Reservation) -> str:
    """Name what is kept."""
    slots = f"{reservation.slots} {'slot' if reservation.slots == 1 else 'slots'}"
    if not reservation.memory_bytes:
        return slots
    memory = f"{human_size(reservation.memory_bytes)} of memory"
    return f"{memory} and {slots}" if reservation.slots else memory


def said(reservation: Reservation, task: Task | None) -> str:
    """Say what is kept, for whom and how long."""
    ends = [] if task is None else [f"until task {task.name} ({task.id}) starts"]
    if reservation.until is not None:
        ends.append(f"until {format_time(reservation.until)}" + (" at the latest" if ends else ""))
    return f"kept free: {amount(reservation)}, {', '.join(ends)}"


def _data(about: Reservation) -> JSON:
    return {
        "reservationId": about.id,
        "memoryBytes": about.memory_bytes,
        "slots": about.slots,
        **({} if about.until is None else {"until": format_time(about.until)}),
        **({} if about.task_id is None else {"taskId": about.task_id}),
    }
