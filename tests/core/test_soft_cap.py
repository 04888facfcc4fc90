"""The soft cap that moves."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.admission import Machine
from claudine_mcp.core.admission.soft_cap import STEP_S, SoftCap

GB = 10**9
CALM = Machine(16 * GB, 10 * GB, GB, load=1.0, processors=4.0, cpu_pressure=5.0, memory_pressure=0.0)
SHORT = replace(CALM, available_bytes=GB // 2)
BLOCKED = replace(CALM, memory_pressure=6.0)
USUAL = SoftCap(10, 10)


def course(machine: Machine | None, looks: int, *, is_wanted: bool = True, cap: SoftCap = USUAL) -> SoftCap:
    """Give the cap after so many looks, half a step apart; configured are 10, at most 50."""
    for number in range(looks):
        cap = cap.moved(machine, 10, 50, 1000 + number * STEP_S / 2, is_wanted=is_wanted)
    return cap


def test_it_stands_where_it_was_configured_while_nobody_waits_for_it() -> None:
    assert course(CALM, 20, is_wanted=False).cap == 10


def test_it_rises_by_one_each_half_minute_while_more_is_wanted() -> None:
    assert course(CALM, 1).cap == 10
    assert course(CALM, 2).cap == 10
    assert course(CALM, 3).cap == 11
    assert course(CALM, 9).cap == 14


def test_it_never_rises_above_the_hard_cap() -> None:
    assert course(CALM, 500).cap == 50


def test_it_does_not_rise_while_what_runs_waits_for_memory() -> None:
    assert course(BLOCKED, 20).cap == 10


def test_it_is_halved_while_memory_is_critical_and_one_may_always_run() -> None:
    assert course(SHORT, 1).cap == 5
    assert course(SHORT, 2).cap == 5
    assert course(SHORT, 3).cap == 2
    assert course(SHORT, 50).cap == 1


def test_it_comes_back_step_by_step_while_more_is_wanted() -> None:
    low = SoftCap(5, 10, 900.0, "memory is short", 900.0)
    assert course(CALM, 1, cap=low).cap == 6
    assert course(CALM, 50, cap=low).cap > 10


def test_what_it_has_risen_by_is_given_back_when_nobody_waits_any_more() -> None:
    assert course(CALM, 1, is_wanted=False, cap=SoftCap(14, 10, 900.0)).cap == 10


def test_another_configuration_counts_at_once() -> None:
    assert SoftCap(14, 10, 900.0).moved(CALM, 3, 50, 910.0, is_wanted=True).cap == 3


def test_it_is_what_was_configured_while_the_machine_is_not_looked_at() -> None:
    assert course(None, 20).cap == 10


@given(
    st.lists(
        st.tuples(st.sampled_from([CALM, SHORT, BLOCKED, None]), st.booleans(), st.floats(0, 100)),
        max_size=60,
    ),
    st.integers(1, 20),
    st.integers(0, 20),
)
def test_whatever_happens_it_is_between_one_and_the_hard_cap(
    looks: list[tuple[Machine | None, bool, float]], configured: int, more: int
) -> None:
    cap, now, hard = SoftCap(configured, configured), 0.0, configured + more
    for machine, is_wanted, passed in looks:
        now += passed
        cap = cap.moved(machine, configured, hard, now, is_wanted=is_wanted)
        assert 1 <= cap.cap <= hard
