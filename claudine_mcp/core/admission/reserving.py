"""What can be reserved, and whom a reservation holds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from claudine_mcp.core.admission.model import Reservation, Situation, Waiting
from claudine_mcp.core.admission.walk import decide
from claudine_mcp.core.units import human_size

USUAL_S: Final = 3600.0
"""So long something is kept where nobody says how long: what is forgotten, or kept for a task that cannot start for
another reason, must not hold the others for ever."""
LONGEST_S: Final = 7 * 86_400.0


class Cost(NamedTuple):
    """A queued task that waits because of a reservation, and the rule that holds it as it is."""

    task_id: str
    rule: str


def expected_bytes(task: Waiting, n_sigma: float) -> int:
    """Give the memory that is kept for a task of which nobody says how much: what its class lets expect."""
    if task.need is None:
        return 0
    return math.ceil(task.need.mean_bytes + n_sigma * task.need.deviation_bytes)


def never_fits(wanted: Reservation, situation: Situation) -> str | None:
    """Say why so much cannot be reserved, however long one waits; None: it can.

    Args:
        wanted: what is to be reserved; what is reserved for the same task already gives way to it.
        situation: with the reservations in force, and the machine.
    """
    others = without(situation.reservations, wanted)
    slots, caps = sum(item.slots for item in others), situation.caps
    most_slots = caps.soft if caps.configured is None else caps.configured
    if wanted.slots > most_slots - slots:
        return (
            f"slots: {wanted.slots} can never be free together: {most_slots} may be active at once "
            f"(limits.softMaxConcurrent), {slots} of these are reserved already"
        )
    machine = situation.machine
    if machine is None:
        return None
    reserved = sum(item.memory_bytes for item in others)
    most = max(0, machine.total_bytes - machine.reserve_bytes - reserved)
    if wanted.memory_bytes <= most:
        return None
    return (
        f"memory: {human_size(wanted.memory_bytes)} can never be free: there are {human_size(machine.total_bytes)}, of "
        f"which {human_size(machine.reserve_bytes)} are kept (limits.systemMemoryReserve) and {human_size(reserved)} "
        f"reserved already, which leaves {human_size(most)}"
    )


def without(known: Iterable[Reservation], wanted: Reservation) -> list[Reservation]:
    """Give those that stay when another one is made: one for the same task gives way to it."""
    return [
        item
        for item in known
        if item.id != wanted.id and (wanted.task_id is None or item.task_id != wanted.task_id)
    ]


def costs(situation: Situation, wanted: Reservation) -> list[Cost]:
    """Give the queued tasks that would start now but for a reservation, in the order in which they would.

    Args:
        situation: as it is without it.
        wanted: the reservation.
    """
    others = without(situation.reservations, wanted)
    free = decide(replace(situation, reservations=others)).admit
    held = decide(replace(situation, reservations=[*others, wanted])).hold
    return [Cost(task_id, held[task_id]["rule"]) for task_id in free if task_id in held]
