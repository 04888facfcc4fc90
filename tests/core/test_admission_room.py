"""Memory, processors, starts, reservations and promised times, in tables and by properties."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.admission import (
    Active,
    Caps,
    Decisions,
    Machine,
    Reservation,
    Situation,
    Starts,
    Waiting,
    advise_hold,
    decide,
    describe_hold,
)
from claudine_mcp.core.admission.holds import per_cent
from claudine_mcp.core.demand import Need
from claudine_mcp.core.eta import Eta
from claudine_mcp.core.models import Dependency, Kind, Priority

GB = 10**9
NOW = 1_000_000.0
P0, P1, P2 = Priority
CAPS = Caps(10, 50)
ROOMY = Machine(total_bytes=16 * GB, available_bytes=10 * GB, reserve_bytes=2 * GB, processors=4.0)


def need(mean: float, deviation: float = 0.0, p90: float | None = None) -> Need:
    """Give a need in GB."""
    return Need(mean * GB, deviation * GB, (mean + 1.28 * deviation if p90 is None else p90) * GB)


def waits(number: int, mean: float | None = 1.0, **more: Any) -> Waiting:
    """Give a task that waits, its need in GB."""
    given_need = more.pop("need", None if mean is None else need(mean))
    fields: dict[str, Any] = {"priority": P1, "queued_at": NOW - 60 + number / 100, **more}
    return Waiting(f"t{number}", number, need=given_need, **fields)


def runs(name: str, mean: float, now: float | None = None, **more: Any) -> Active:
    """Give a task that runs: what it is expected to need and what it uses, in GB."""
    used = None if now is None else round(now * GB)
    return Active(name, need=need(mean), memory_bytes=used, **more)


def looked(
    *waiting: Waiting, active: tuple[Active, ...] = (), machine: Machine | None = ROOMY, **more: Any
) -> Decisions:
    return decide(Situation(waiting, active, more.pop("caps", CAPS), NOW, machine=machine, **more))


def test_memory_counts_everything_foreign_as_load_and_what_runs_with_what_it_will_need() -> None:
    # 10 GB are available and 1 GB is ours: 11 - 2 are for us; 4 are expected of what runs.
    one = runs("a", 4.0, 1.0)
    assert looked(waits(1, 5.0), active=(one,)).admit == ["t1"]
    hold = looked(waits(1, 5.1), active=(one,)).hold["t1"]
    assert hold == {
        "rule": "memory",
        "needBytes": 5_100_000_000,
        "sigma": 3.0,
        "freeBytes": 5 * GB,
        "reserveBytes": 2 * GB,
        "basis": "",
    }
    assert describe_hold(hold) == "needs 5.1 GB at 99.9 %, 5 GB free above the reserve of 2 GB"


def test_deviations_are_summed_as_squares() -> None:
    machine = replace(ROOMY, reserve_bytes=0)
    active = (Active("a", need=need(2.0, 0.3, 2.0), memory_bytes=0),)
    both = 3 * math.hypot(0.3, 0.4)
    fits, does_not = need(8 - both - 0.001, 0.4, 0), need(8 - both + 0.001, 0.4, 0)
    assert looked(waits(1, need=fits), active=active, machine=machine).admit
    assert looked(waits(1, need=does_not), active=active, machine=machine).hold["t1"]["rule"] == "memory"


def test_a_suspended_task_counts_with_its_size_and_no_more() -> None:
    stopped = Active("a", need=need(9.0, 3.0), memory_bytes=GB, is_suspended=True)
    running = runs("b", 0.1, 0.1)
    assert looked(waits(1, 7.9), active=(stopped, running)).admit == ["t1"]
    assert not looked(waits(1, 8.1), active=(stopped, running)).admit


def test_one_that_uses_more_than_was_expected_counts_with_that() -> None:
    machine = replace(ROOMY, available_bytes=3 * GB)
    assert not looked(waits(1, 2.0), active=(runs("a", 1.0, 7.0),), machine=machine).admit


def test_half_of_the_p90_must_be_available_now_besides_what_has_just_started_lacks() -> None:
    heavy = need(1.0, 0.0, 12.0)
    running = runs("a", 0.1, 0.1)
    assert looked(waits(1, need=heavy), active=(running,)).admit == ["t1"]
    fresh = Active("b", need=need(1.0, 0.0, 6.0))
    hold = looked(waits(1, need=heavy), active=(running, fresh)).hold["t1"]
    assert hold["rule"] == "available"
    assert (hold["needBytes"], hold["growingBytes"], hold["availableBytes"]) == (6 * GB, 3 * GB, 10 * GB)
    assert "of which what just started takes 3 GB yet" in describe_hold(hold)


@pytest.mark.parametrize("machine", [replace(ROOMY, available_bytes=0), replace(ROOMY, load=1000.0)])
def test_one_task_may_always_run(machine: Machine) -> None:
    result = looked(waits(1, 100.0), waits(2, 100.0), machine=machine, max_load=4.0)
    assert result.admit == ["t1"]
    assert result.hold["t2"]["rule"] in {"memory", "cpu"}
    stopped = Active("a", memory_bytes=GB, is_suspended=True)
    assert looked(waits(1, 100.0), active=(stopped,), machine=machine, max_load=4.0).admit == ["t1"]
    running = runs("a", 0.1, 0.1)
    assert not looked(waits(1, 100.0), active=(running,), machine=machine, max_load=4.0).admit


def test_what_nobody_knows_anything_of_is_held_by_no_rule_about_memory() -> None:
    assert looked(waits(1, None), active=(runs("a", 100.0, 1.0),)).admit == ["t1"]
    assert looked(waits(1, 100.0), active=(runs("a", 100.0, 1.0),), machine=None).admit == ["t1"]


def test_what_is_preferred_is_tried_first_and_gives_way() -> None:
    task = waits(1, 1.0, preferred=need(6.0))
    roomy = looked(task, active=(runs("a", 1.0, 1.0),))
    assert (roomy.admit, roomy.preferred) == (["t1"], ["t1"])
    tight = looked(task, active=(runs("a", 6.0, 1.0),))
    assert (tight.admit, tight.preferred) == (["t1"], [])


def test_load_holds_only_together_with_pressure_of_now() -> None:
    running = runs("a", 0.1, 0.1)
    busy = replace(ROOMY, load=17.0)
    assert looked(waits(1), active=(running,), machine=replace(busy, cpu_pressure=10.0), max_load=4.0).admit
    assert looked(waits(1), active=(running,), machine=busy, max_load=5.0).admit
    hold = looked(waits(1), active=(running,), machine=replace(busy, cpu_pressure=80.0), max_load=4.0).hold[
        "t1"
    ]
    assert hold == {"rule": "cpu", "load": 17.0, "processors": 4.0, "maxLoad": 4.0, "pressure": 80.0}
    assert "(scheduling.maxLoad)" in describe_hold(hold)


@pytest.mark.parametrize(
    ("machine", "hold"),
    [
        (replace(ROOMY, files_left=999), {"rule": "files", "left": 999, "least": 1000}),
        (
            replace(ROOMY, disk_free_bytes=10, disk_total_bytes=1000 * GB),
            {"rule": "disk", "freeBytes": 10, "leastBytes": 500_000_000},
        ),
    ],
)
def test_without_files_or_disk_nothing_starts_not_even_the_first(
    machine: Machine, hold: dict[str, Any]
) -> None:
    result = looked(waits(1), machine=machine)
    assert result.hold == {"t1": hold}
    assert describe_hold(hold)


def test_claude_code_starts_in_a_burst_and_then_one_after_another_and_commands_do_not_wait() -> None:
    queue = [waits(number, kind=Kind.CLAUDE) for number in range(1, 5)]
    result = looked(*queue, waits(5), starts=Starts(2, 2.0, [NOW - 100]))
    assert result.admit == ["t1", "t2", "t5"]
    assert result.hold["t3"] == {"rule": "starts", "until": NOW + 2}
    assert result.look_again_at == NOW + 2
    # The bucket is what the starts before have left of it.
    assert looked(*queue, starts=Starts(2, 2.0, [NOW - 1, NOW - 1])).hold["t1"]["until"] == NOW + 1
    assert looked(*queue, starts=Starts(2, 2.0, [NOW - 2, NOW - 2])).admit == ["t1"]
    # A clock that was set back holds nothing for longer than the bucket takes to fill.
    assert looked(*queue, starts=Starts(2, 2.0, [NOW + 999] * 2)).hold["t1"]["until"] == NOW + 2


def test_what_is_reserved_is_kept_from_all_but_its_task_and_what_that_waits_for() -> None:
    running = runs("a", 1.0, 1.0)
    kept = Reservation("r", 6 * GB, task_id="t3")
    first, holder = waits(1, 4.0), waits(3, 6.0, depends_on=(Dependency("t4"),), queued_at=NOW)
    result = looked(first, waits(2, 1.0), active=(running,), reservations=[kept])
    assert result.admit == ["t2"]
    assert result.hold["t1"] == {"rule": "reserved", "reservationIds": ["r"], "bytes": 6 * GB}
    assert "reservation r" in describe_hold(result.hold["t1"])
    needed = waits(4, 5.0)
    outcomes = {"t4": None}
    assert looked(needed, holder, active=(running,), reservations=[kept], outcomes=outcomes).admit == ["t4"]
    ready = replace(holder, depends_on=())
    assert looked(first, ready, active=(running,), reservations=[kept]).admit == ["t3"]
    over = replace(kept, until=NOW)
    assert looked(first, active=(running,), reservations=[over]).admit == ["t1"]


def test_reserved_slots_are_kept_too_and_two_reservations_do_not_lock_one_another_out() -> None:
    kept = Reservation("r", 0, slots=9)
    result = looked(waits(1), waits(2), reservations=[kept])
    assert (result.admit, result.hold["t2"]) == (
        ["t1"],
        {"rule": "reserved", "reservationIds": ["r"], "slots": 9},
    )
    both = [Reservation("r1", 7 * GB, task_id="t1"), Reservation("r2", 7 * GB, task_id="t2")]
    assert looked(waits(1, 7.0), waits(2, 7.0), reservations=both).admit == ["t1"]


def test_those_behind_a_task_that_does_not_fit_start_only_if_they_are_over_before_it_can() -> None:
    running = runs("a", 6.0, 6.0, ends=Eta(100.0, 200.0))
    machine = replace(ROOMY, available_bytes=4 * GB)  # 2 are free
    giant = waits(1, 7.8, lasts=Eta(50.0, 60.0))
    short, long = waits(2, 1.5, lasts=Eta(50.0, 200.0)), waits(3, 0.4, lasts=Eta(50.0, 201.0))
    small = waits(4, 0.1)
    result = looked(giant, long, short, small, active=(running,), machine=machine)
    assert result.hold["t1"]["next"] == {"taskId": "a", "p50Seconds": 100, "p90Seconds": 200}
    assert describe_hold(result.hold["t1"]).endswith(
        "; task a is expected to end in 1 min 40 s to 3 min 20 s"
    )
    assert result.admit == ["t2", "t4"]
    assert result.hold["t3"] == {"rule": "backfill", "taskId": "t1", "at": round(NOW + 200)}
    assert "delay task t1" in describe_hold(result.hold["t3"])


def test_room_is_kept_for_a_task_that_has_waited_long_for_what_nobody_knows_the_end_of() -> None:
    running = runs("a", 6.0, 6.0)
    later = runs("b", 0.5, 0.5, admitted_at=NOW - 5)
    machine = replace(ROOMY, available_bytes=round(3.5 * GB))  # 1.5 of 8 are free
    giant = waits(1, 7.0)
    small, larger = waits(2, 0.3), waits(3, 0.6)
    young = looked(giant, small, larger, active=(running, later), machine=machine)
    assert young.admit == ["t2", "t3"]
    old = looked(replace(giant, queued_at=NOW - 601), small, larger, active=(running, later), machine=machine)
    assert old.admit == ["t2"]
    assert old.hold["t3"] == {"rule": "backfill", "taskId": "t1"}


def test_each_that_is_held_by_a_cap_is_told_the_next_end() -> None:
    active = (runs("a", 0.1, 0.1, ends=Eta(50.0, 90.0)), runs("b", 0.1, 0.1, ends=Eta(10.0, 20.0)))
    result = looked(waits(1), waits(2), waits(3), active=active, caps=Caps(2, 5))
    assert [hold.get("next", {}).get("taskId") for hold in result.hold.values()] == ["b", "a", None]


def test_p0_that_never_ends_does_not_keep_an_aged_task_waiting_for_ever() -> None:
    urgent = tuple(Active(f"a{number}", P0) for number in range(3))
    aged = waits(1, priority=P2, queued_at=NOW - 1200)
    assert looked(aged, active=urgent, caps=Caps(2, 9)).admit == ["t1"]
    assert looked(replace(aged, queued_at=NOW - 1199), active=urgent, caps=Caps(2, 9)).admit == []
    ordinary = (*urgent, Active("b", P1))
    assert looked(aged, active=ordinary, caps=Caps(2, 9)).hold["t1"]["rule"] == "softCap"


@pytest.mark.parametrize(
    ("sigma", "said"), [(2, "97.7 %"), (3, "99.9 %"), (4, "99.997 %"), (1, "84.1 %"), (9, "99.999999 %")]
)
def test_standard_deviations_are_said_as_a_share_of_cases(sigma: float, said: str) -> None:
    assert per_cent(sigma) == said


sizes = st.floats(0, 8).map(lambda gb: round(gb, 2))
etas = st.none() | st.builds(lambda p50, more: Eta(p50, p50 + more), st.floats(0, 500), st.floats(0, 500))
tasks = st.builds(
    lambda number, mean, deviation, priority, lasts, kind, age: Waiting(
        f"t{number}", number, priority, NOW - age, kind=kind, need=need(mean, deviation), lasts=lasts
    ),
    st.integers(0, 10**6),
    sizes,
    sizes.map(lambda size: size / 4),
    st.sampled_from(Priority),
    etas,
    st.sampled_from(Kind),
    st.floats(0, 2000),
)
running_tasks = st.builds(
    lambda number, mean, used, stopped, ends, age: Active(
        f"a{number}",
        need=need(mean),
        memory_bytes=used,
        is_suspended=stopped,
        ends=ends,
        admitted_at=NOW - age,
    ),
    st.integers(0, 10**6),
    sizes,
    st.none() | sizes.map(lambda gb: round(gb * GB)),
    st.booleans(),
    etas,
    st.floats(0, 2000),
)
situations = st.builds(
    lambda waiting, active, soft, more, available, reserve, sigma, load, pressure, burst: Situation(
        waiting,
        active,
        Caps(soft, soft + more),
        NOW,
        machine=Machine(16 * GB, round(available * GB), round(reserve * GB), load, 4.0, pressure),
        n_sigma=sigma,
        max_load=4.0,
        starts=Starts(burst, 2.0, [NOW - 1.5]),
    ),
    st.lists(tasks, max_size=12, unique_by=lambda task: task.id),
    st.lists(running_tasks, max_size=8, unique_by=lambda task: task.id),
    st.integers(1, 8),
    st.integers(0, 8),
    st.floats(0, 16),
    st.floats(0, 3),
    st.sampled_from([2.0, 3.0, 4.0]),
    st.sampled_from([0.0, 99.0]),
    st.none() | st.sampled_from([0.0, 99.0]),
    st.integers(1, 3),
)


@given(situations)
def test_what_is_admitted_fits_by_the_formula_but_for_one_that_runs_alone(situation: Situation) -> None:
    result = decide(situation)
    by_id = {task.id: task for task in situation.waiting}
    machine = situation.machine
    assert machine is not None
    admitted = [by_id[task_id] for task_id in result.admit]
    if not any(not task.is_suspended for task in situation.active):
        admitted = admitted[1:]
        first: list[Need] = [task.need for task in [by_id[i] for i in result.admit[:1]] if task.need]
    else:
        first = []
    means, variances = [item.mean_bytes for item in first], [item.deviation_bytes**2 for item in first]
    for task in situation.active:
        assert task.need is not None
        used = task.memory_bytes
        means.append(
            (used if used is not None else task.need.mean_bytes)
            if task.is_suspended
            else max(task.need.mean_bytes, used or 0)
        )
    capacity = machine.available_bytes + sum(task.memory_bytes or 0 for task in situation.active)
    for task in admitted:
        assert task.need is not None
        means.append(task.need.mean_bytes)
        variances.append(task.need.deviation_bytes**2)
        demand = sum(means) + situation.n_sigma * math.sqrt(sum(variances))
        assert demand <= capacity - machine.reserve_bytes + 1


@given(situations)
def test_every_hold_can_be_stored_said_and_its_numbers_show_why(situation: Situation) -> None:
    result = decide(situation)
    claude = sum(task.kind is Kind.CLAUDE for task in situation.waiting if task.id in result.admit)
    for hold in result.hold.values():
        assert json.loads(json.dumps(hold)) == hold
        assert describe_hold(hold)
        assert all(advice.endswith(".") for advice in advise_hold(hold))
        match hold["rule"]:
            case "memory":
                assert hold["needBytes"] > hold["freeBytes"]
            case "available":
                free = hold["availableBytes"] - hold["reserveBytes"] - hold["growingBytes"]
                assert hold["needBytes"] >= free
            case "softCap" | "hardCap":
                assert hold["active"] >= hold["cap"]
            case "cpu":
                assert hold["load"] > hold["maxLoad"] * hold["processors"]
            case "starts":
                assert hold["until"] > NOW
                assert claude or (situation.starts is not None and situation.starts.burst == 1)
            case rule:
                assert rule == "backfill"
                assert hold["taskId"] in result.hold
        if "next" in hold:
            assert hold["next"]["p50Seconds"] <= hold["next"]["p90Seconds"]


@given(situations)
def test_something_runs_whenever_something_could(situation: Situation) -> None:
    result = decide(situation)
    is_idle = all(task.is_suspended for task in situation.active) and not result.admit
    if is_idle:
        assert {hold["rule"] for hold in result.hold.values()} <= {"hardCap", "starts"}
