"""What can be reserved, and what it costs the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from claudine_mcp.core.admission import Caps, Machine, Reservation, Situation, Waiting, decide
from claudine_mcp.core.admission.reserving import Cost, costs, expected_bytes, never_fits
from claudine_mcp.core.demand import Need
from claudine_mcp.core.models import Priority

GB = 10**9
NOW = 1_000_000.0
MACHINE = Machine(total_bytes=16 * GB, available_bytes=10 * GB, reserve_bytes=2 * GB)
LATER = NOW + 60


def waits(number: int, gb: float = 1.0, **more: Any) -> Waiting:
    need = Need(gb * GB, 0.0, gb * GB)
    return Waiting(f"t{number}", number, Priority.P1, NOW - 60 + number, need=need, **more)


def queue(*waiting: Waiting, **more: Any) -> Situation:
    fields: dict[str, Any] = {"caps": Caps(4, 8), "machine": MACHINE, **more}
    return Situation(waiting, (), now=NOW, **fields)


def test_who_would_start_now_without_it_is_what_it_costs() -> None:
    situation = queue(waits(1, 3.0), waits(2, 3.0), waits(3, 9.0))
    kept = Reservation("r", 5 * GB, until=LATER)
    assert decide(situation).admit == ["t1", "t2"]
    assert costs(situation, kept) == [Cost("t2", "reserved")]
    assert costs(situation, replace(kept, memory_bytes=GB)) == []
    assert costs(situation, Reservation("r", 0, slots=4, until=LATER)) == [
        Cost("t1", "reserved"),
        Cost("t2", "reserved"),
    ]


def test_what_is_reserved_for_a_task_costs_that_task_nothing() -> None:
    situation = queue(waits(1, 6.0), waits(2, 6.0))
    assert costs(situation, Reservation("r", 6 * GB, 1, "t2", LATER)) == [Cost("t1", "reserved")]
    assert costs(situation, Reservation("r", 6 * GB, 1, "t1", LATER)) == []


def test_a_reservation_that_takes_the_place_of_another_costs_only_what_is_more() -> None:
    situation = queue(waits(1, 5.0), waits(2, 8.0), reservations=[Reservation("old", 6 * GB, 1, "t2", LATER)])
    assert "t1" in decide(situation).hold
    assert costs(situation, Reservation("new", 5 * GB, 1, "t2", LATER)) == [Cost("t1", "reserved")]
    assert never_fits(Reservation("new", 14 * GB, 4, "t2", LATER), situation) is None


@pytest.mark.parametrize(
    ("wanted", "known", "problem"),
    [
        (Reservation("r", 14 * GB, 4), [], None),
        (
            Reservation("r", 14 * GB + 1, 0),
            [],
            "memory: 14 GB can never be free: there are 16 GB, of which 2 GB",
        ),
        (Reservation("r", 9 * GB, 0), [Reservation("o", 6 * GB)], "6 GB reserved already, which leaves 8 GB"),
        (Reservation("r", 0, 5), [], "slots: 5 can never be free together: 4 may be active at once"),
        (Reservation("r", 0, 3), [Reservation("o", 0, 2)], "2 of these are reserved already"),
    ],
)
def test_what_can_never_be_free_is_refused_with_the_numbers(
    wanted: Reservation, known: list[Reservation], problem: str | None
) -> None:
    found = never_fits(wanted, queue(reservations=known))
    assert found is None if problem is None else problem in (found or "")


def test_a_soft_cap_that_has_moved_for_the_moment_is_no_reason_to_refuse() -> None:
    assert never_fits(Reservation("r", 0, 4), queue(caps=Caps(1, 8, configured=4))) is None


def test_a_machine_that_could_not_be_looked_at_refuses_no_memory() -> None:
    assert never_fits(Reservation("r", 99 * GB, 1), queue(machine=None)) is None


def test_what_is_kept_for_a_task_is_what_its_class_lets_expect() -> None:
    assert expected_bytes(replace(waits(1), need=Need(100.0, 20.0, 130.0)), 3.0) == 160
    assert expected_bytes(replace(waits(1), need=None), 3.0) == 0


def test_a_reservation_is_over_at_its_time_and_admission_looks_again_then() -> None:
    situation = queue(waits(1), reservations=[Reservation("r", 0, 4, until=LATER)])
    held = decide(situation)
    assert (held.hold["t1"]["rule"], held.look_again_at) == ("reserved", LATER)
    assert decide(replace(situation, now=LATER)).admit == ["t1"]
