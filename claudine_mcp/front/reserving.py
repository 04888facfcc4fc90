"""Keeping memory and slots free, and releasing them, as server and command line do it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pydantic import Field

from claudine_mcp.core.errors import InvalidInput, ReservationNotFound
from claudine_mcp.core.models import JSON, CommandKind
from claudine_mcp.core.units import describe, human_duration, parse_duration_ms, parse_size_bytes
from claudine_mcp.front.front import Front
from claudine_mcp.front.reservation_views import reservation_view
from claudine_mcp.front.submit import new_id
from claudine_mcp.front.system_views import ReservationView
from claudine_mcp.front.view import View
from claudine_mcp.registry.reservations import Reserved, reservations

MOST_SLOTS = 10_000
"""More than anyone may have active; the caps in force say more exactly."""


class DelayedTask(View):
    """A task that would start now."""

    task_id: str
    name: str
    rule: str = Field(description="that holds it instead")


class Capacity(View):
    """What became of a wish to keep something free, or to release it."""

    done: str = Field(description="what was done, and what it costs the others")
    reservation_id: str
    reservations: list[ReservationView] = Field(description="all that are in force now")
    delayed: int = Field(default=0, description="tasks that would start now without it")
    delays: list[DelayedTask] | None = Field(default=None, description="the first of these")


@dataclass(frozen=True, slots=True)
class CapacityRequest:
    """What is to be kept free, as someone wrote it; or the id of a reservation to release."""

    memory: int | str | None = None
    slots: int | None = None
    task_id: str | None = None
    duration: int | str | None = None
    release: str | None = None


async def reserve_capacity(front: Front, request: CapacityRequest) -> Capacity:
    """Keep memory and slots free, or release them.

    Raises:
        InvalidInput: a value is wrong, or there is nothing to keep.
        TaskNotFound: there is no such task.
        ReservationNotFound: there is no such reservation to release.
        NotNow: so much can never be free, or the task is not queued.
    """
    if request.release is not None:
        return await _release(front, request, request.release)
    args = _arguments(request)
    task = None if request.task_id is None else await front.task(request.task_id)
    reservation_id = new_id()
    args["reservationId"] = reservation_id
    result = await front.command(CommandKind.RESERVE, None if task is None else task.id, args)
    delays = [
        DelayedTask(task_id=each["taskId"], name=each["name"], rule=each["rule"])
        for each in result["delays"]["named"]
    ]
    count: int = result["delays"]["count"]
    return Capacity(
        done=f"{result['said']}. {_said_of_costs(delays, count)}",
        reservation_id=reservation_id,
        reservations=await known_reservations(front),
        delayed=count,
        delays=delays or None,
    )


def _arguments(request: CapacityRequest) -> JSON:
    from claudine_mcp.core.admission.reserving import LONGEST_S  # noqa: PLC0415 - start-up time

    slots = 1 if request.slots is None else request.slots
    if not 0 <= slots <= MOST_SLOTS:
        raise InvalidInput(
            "slots", f"{describe(slots)} is no number of slots", f"Give 0 to {MOST_SLOTS}; default: 1."
        )
    if request.task_id is None and request.memory is None and (request.slots is None or not slots):
        raise InvalidInput(
            "memory",
            "there is nothing to keep free",
            "Give memory, slots or taskId; or release, with the id of a reservation.",
        )
    args: JSON = {"slots": slots}
    if request.memory is not None:
        args["memoryBytes"] = parse_size_bytes(request.memory, "memory")
    if request.duration is not None:
        args["durationMs"] = parse_duration_ms(request.duration, "duration")
        if args["durationMs"] > LONGEST_S * 1000:
            raise InvalidInput(
                "duration",
                f"{describe(request.duration)} is longer than anything is kept",
                f"Give at most {human_duration(LONGEST_S)}.",
            )
    return args


async def _release(front: Front, request: CapacityRequest, wanted: str) -> Capacity:
    if request != CapacityRequest(release=wanted):
        raise InvalidInput("release", "it comes with other parameters", "Give it alone.")
    async with front.db.read() as tx:
        known = await reservations(tx, time.time())
    found = _chosen(known, wanted)
    result = await front.command(CommandKind.RESERVE, None, {"release": found.id})
    return Capacity(
        done=result["said"], reservation_id=found.id, reservations=await known_reservations(front)
    )


def _chosen(known: list[Reserved], wanted: str) -> Reserved:
    """Give the one that has this id, or the only one whose id begins with it."""
    found = [each for each in known if wanted and each.id.startswith(wanted)]
    if len(found) != 1:
        raise ReservationNotFound(wanted, [each.id for each in known])
    return found[0]


def _said_of_costs(delays: list[DelayedTask], count: int) -> str:
    if not delays:
        return "No task that could start now has to wait for it"
    named = ", ".join(f"{each.name} ({each.task_id})" for each in delays)
    more = f" and {count - len(delays)} more" if count > len(delays) else ""
    return f"Without it, {'this task' if count == 1 else 'these tasks'} would start now: {named}{more}"


async def known_reservations(front: Front) -> list[ReservationView]:
    """Give all that are in force, oldest first."""
    async with front.db.read() as tx:
        return [reservation_view(each) for each in await reservations(tx, time.time())]
