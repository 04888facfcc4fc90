from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.admission import (
    Active,
    Caps,
    Decisions,
    Situation,
    Waiting,
    decide,
    describe_hold,
    order,
)
from claudine_mcp.core.admission.model import USUAL_AGEING_S
from claudine_mcp.core.models import Dependency, Priority
from claudine_mcp.core.states import Outcome

NOW = 1000.0
P0, P1, P2 = Priority
WIDE = Caps(10, 50)


def waits(
    task_id: str,
    priority: Priority = P1,
    *,
    queued_at: float = 0.0,
    not_before: float | None = None,
    on: tuple[Dependency, ...] = (),
) -> Waiting:
    return Waiting(task_id, int(task_id), priority, queued_at, not_before, on)


def situation(
    waiting: Sequence[Waiting],
    active: int = 0,
    caps: Caps = WIDE,
    outcomes: dict[str, Outcome | None] | None = None,
    now: float = NOW,
) -> Situation:
    return Situation(waiting, [Active(f"a{n}") for n in range(active)], caps, now, outcomes or {})


def decided(
    *waiting: Waiting, active: int = 0, caps: Caps = WIDE, outcomes: dict[str, Outcome | None] | None = None
) -> Decisions:
    return decide(situation(waiting, active, caps, outcomes))


def aged(task: Waiting) -> tuple[int, float, int]:
    return order(task, NOW, USUAL_AGEING_S)


caps_of_any_size = st.tuples(st.integers(1, 8), st.integers(0, 8)).map(lambda pair: Caps(pair[0], sum(pair)))
outcomes_of_any_kind = st.dictionaries(
    st.sampled_from([f"d{n}" for n in range(4)]), st.none() | st.sampled_from(Outcome)
)
dependencies = st.lists(
    st.builds(Dependency, st.sampled_from([f"d{n}" for n in range(4)]), st.sampled_from(["success", "end"])),
    max_size=3,
).map(tuple)


@st.composite
def queues(draw: st.DrawFn) -> list[Waiting]:
    count = draw(st.integers(0, 12))
    return draw(
        st.permutations(
            [
                Waiting(
                    str(number),
                    number,
                    draw(st.sampled_from(Priority)),
                    draw(st.sampled_from([0.0, 1.0, 2.0])),
                    draw(st.none() | st.sampled_from([NOW - 1, NOW, NOW + 1, NOW + 9])),
                    draw(dependencies),
                )
                for number in range(count)
            ]
        )
    )


situations = {
    "waiting": queues(),
    "active": st.integers(0, 20),
    "caps": caps_of_any_size,
    "outcomes": outcomes_of_any_kind,
}


@given(**situations)
def test_every_queued_task_is_admitted_held_or_skipped(
    waiting: list[Waiting], active: int, caps: Caps, outcomes: dict[str, Outcome | None]
) -> None:
    result = decide(situation(waiting, active, caps, outcomes))
    answers = [*result.admit, *result.hold, *result.skip]
    assert sorted(answers) == sorted(task.id for task in waiting)


@given(**situations)
def test_the_hard_cap_is_never_passed_and_the_soft_cap_only_by_p0(
    waiting: list[Waiting], active: int, caps: Caps, outcomes: dict[str, Outcome | None]
) -> None:
    result = decide(situation(waiting, active, caps, outcomes))
    assert active + len(result.admit) <= max(active, caps.hard)
    by_id = {task.id: task for task in waiting}
    for number, task_id in enumerate(result.admit):
        before = [by_id[each].priority for each in result.admit[:number]]
        only_p0_is_active = not active and all(priority is P0 for priority in before)
        may_pass = by_id[task_id].priority is P0 or (aged(by_id[task_id])[0] == P0 and only_p0_is_active)
        assert active + number < caps.soft or may_pass


@given(**situations)
def test_tasks_start_in_the_order_of_priority_then_waiting_then_arrival(
    waiting: list[Waiting], active: int, caps: Caps, outcomes: dict[str, Outcome | None]
) -> None:
    result = decide(situation(waiting, active, caps, outcomes))
    by_id = {task.id: task for task in waiting}
    assert result.admit == sorted(result.admit, key=lambda task_id: aged(by_id[task_id]))
    # Nobody is held by a cap while someone who comes later starts, but for P0, which passes the soft cap.
    for task_id in result.admit:
        for held, hold in result.hold.items():
            if hold["rule"] == "hardCap" or (hold["rule"] == "softCap" and by_id[task_id].priority is not P0):
                assert aged(by_id[task_id]) < aged(by_id[held])


@given(**situations)
def test_no_slot_stays_free_while_someone_is_held_by_a_cap(
    waiting: list[Waiting], active: int, caps: Caps, outcomes: dict[str, Outcome | None]
) -> None:
    result = decide(situation(waiting, active, caps, outcomes))
    total = active + len(result.admit)
    for hold in result.hold.values():
        if hold["rule"] == "hardCap":
            assert total >= caps.hard
        elif hold["rule"] == "softCap":
            assert caps.soft <= total <= caps.hard  # a P0 behind it may have filled them all since


@given(**situations)
def test_the_order_in_which_the_queue_is_given_does_not_matter(
    waiting: list[Waiting], active: int, caps: Caps, outcomes: dict[str, Outcome | None]
) -> None:
    assert decide(situation(waiting, active, caps, outcomes)) == decide(
        situation(waiting[::-1], active, caps, outcomes)
    )


@given(**situations)
def test_a_hold_can_be_stored_and_said_in_words(
    waiting: list[Waiting], active: int, caps: Caps, outcomes: dict[str, Outcome | None]
) -> None:
    for hold in decide(situation(waiting, active, caps, outcomes)).hold.values():
        assert json.loads(json.dumps(hold)) == hold
        assert describe_hold(hold)


@given(**situations)
def test_the_next_look_is_at_the_first_time_that_comes_due(
    waiting: list[Waiting], active: int, caps: Caps, outcomes: dict[str, Outcome | None]
) -> None:
    result = decide(situation(waiting, active, caps, outcomes))
    times = [hold["until"] for hold in result.hold.values() if hold["rule"] == "notBefore"]
    assert result.look_again_at == min(times, default=None)
    assert all(time > NOW for time in times)


def test_a_higher_priority_starts_first_until_a_lower_one_has_aged() -> None:
    low = waits("1", P2, queued_at=NOW - 599)
    queue = [low, waits("2", P1, queued_at=NOW - 2), waits("3", P0, queued_at=NOW - 1)]
    result = decided(*queue, caps=Caps(2, 2))
    assert result.admit == ["3", "2"]
    assert result.hold == {"1": {"rule": "hardCap", "cap": 2, "active": 2}}
    queue[0] = replace(low, queued_at=NOW - 600)
    assert decided(*queue, caps=Caps(2, 2)).admit == ["3", "1"]
    queue[0] = replace(low, queued_at=NOW - 1200)
    assert decided(*queue, caps=Caps(2, 2)).admit == ["1", "3"]
    unaged = situation(queue, caps=Caps(2, 2))
    assert decide(replace(unaged, ageing_s=None)).admit == ["3", "2"]


def test_a_p0_passes_the_soft_cap_and_a_p1_does_not() -> None:
    result = decided(waits("1", P1), waits("2", P0), active=1, caps=Caps(1, 5))
    assert result.admit == ["2"]
    assert result.hold == {"1": {"rule": "softCap", "cap": 1, "active": 1}}


def test_notbefore_holds_until_its_time() -> None:
    later = waits("1", not_before=NOW + 60)
    assert decided(later).hold == {"1": {"rule": "notBefore", "until": NOW + 60}}
    assert decided(later).look_again_at == NOW + 60
    assert decide(situation([later], now=NOW + 60)).admit == ["1"]


@pytest.mark.parametrize(
    ("on", "outcome", "result"),
    [
        ("success", None, "hold"),
        ("end", None, "hold"),
        ("success", Outcome.SUCCEEDED, "admit"),
        *(("success", outcome, "skip") for outcome in Outcome if outcome is not Outcome.SUCCEEDED),
        *(("end", outcome, "admit") for outcome in Outcome),
    ],
)
def test_a_dependency_decides_like_this(on: str, outcome: Outcome | None, result: str) -> None:
    task = waits("2", on=(Dependency("1", on),))
    found = decided(task, outcomes={"1": outcome})
    assert (found.hold, found.admit, found.skip) == (
        {"2": {"rule": "dependency", "taskIds": ["1"]}} if result == "hold" else {},
        ["2"] if result == "admit" else [],
        {"2": f"task 1, which it depends on, ended as {outcome}"} if result == "skip" else {},
    )


def test_a_dependency_that_was_removed_skips_the_task() -> None:
    result = decided(waits("2", on=(Dependency("1", "end"),)))
    assert "was removed" in result.skip["2"]


def test_one_failed_dependency_is_enough_while_others_still_run() -> None:
    task = waits("3", on=(Dependency("1"), Dependency("2")))
    assert "3" in decided(task, outcomes={"1": None, "2": Outcome.FAILED}).skip


def test_a_held_task_takes_no_slot_from_those_behind_it() -> None:
    first = replace(waits("1", P0), not_before=NOW + 5)
    assert decided(first, waits("2"), caps=Caps(1, 1)).admit == ["2"]
