"""Conditions: raised once, cleared once, and remembered by a supervisor that has just been started."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.fields import Level
from claudine_mcp.core.findings import (
    UNDECIDED,
    Change,
    Conditions,
    Finding,
    Step,
    Verdict,
    at_level,
)
from claudine_mcp.core.models import Severity

NOTE = Finding("task:stalled", Severity.NOTICE, {"n": 1})
WARNING = Finding("task:stalled", Severity.WARNING, {"n": 2})
verdicts = st.lists(st.sampled_from([None, UNDECIDED, NOTE, WARNING]), max_size=60)
afters = st.sampled_from([0.0, 1.0, 3.0])


def fold(
    said: Sequence[Verdict],
    *,
    raise_after_s: float = 0,
    clear_after_s: float = 0,
    restart_at: frozenset[int] = frozenset(),
) -> list[Change | None]:
    """What is told at each tick, with restarts at some of them."""
    conditions = Conditions()
    told: list[Change | None] = []
    for tick, verdict in enumerate(said):
        if tick in restart_at:
            conditions = Conditions(json.loads(json.dumps(conditions.to_json())))
        told.append(
            conditions.take(
                "rule",
                verdict,
                clock_s=float(tick),
                at=100.0 + tick,
                raise_after_s=raise_after_s,
                clear_after_s=clear_after_s,
            )
        )
    return told


@given(verdicts, afters, afters)
def test_raise_and_clear_alternate(said: list[Verdict], raise_after_s: float, clear_after_s: float) -> None:
    is_open = False
    worst = Severity.DEBUG
    for change in fold(said, raise_after_s=raise_after_s, clear_after_s=clear_after_s):
        if change is None:
            continue
        if change.step is Step.RAISED:
            assert not is_open
            is_open, worst = True, change.finding.severity
        else:
            assert is_open
            if change.step is Step.CLEARED:
                is_open = False
            else:
                assert change.finding.severity.rank > worst.rank
                worst = change.finding.severity


@given(verdicts, afters, afters, st.frozensets(st.integers(0, 59)))
def test_restarts_change_nothing(
    said: list[Verdict], raise_after_s: float, clear_after_s: float, restart_at: frozenset[int]
) -> None:
    once = fold(said, raise_after_s=raise_after_s, clear_after_s=clear_after_s)
    again = fold(said, raise_after_s=raise_after_s, clear_after_s=clear_after_s, restart_at=restart_at)
    assert again == once


def test_a_finding_must_hold_for_its_time_before_it_is_told() -> None:
    told = fold([WARNING, WARNING, WARNING, WARNING], raise_after_s=2)
    assert [change and change.step for change in told] == [None, None, Step.RAISED, None]


def test_what_is_said_now_and_then_with_doubt_between_does_not_hold() -> None:
    assert fold([WARNING, *[UNDECIDED] * 30] * 5, raise_after_s=15) == [None] * 155


def test_a_moment_of_doubt_does_not_begin_it_anew() -> None:
    told = fold([WARNING, UNDECIDED, UNDECIDED] * 6, raise_after_s=15)
    assert [place for place, change in enumerate(told) if change is not None] == [15]


def test_what_cleared_names_the_event_that_raised_it_across_a_restart() -> None:
    conditions = Conditions()
    conditions.take("one", NOTE, clock_s=0, at=0)
    conditions.told("one", 40)
    conditions.told("one", 41)  # the transaction of the first has failed
    conditions = Conditions(json.loads(json.dumps(conditions.to_json())))
    conditions.take("one", WARNING, clock_s=1, at=1)
    cleared = conditions.take("one", None, clock_s=2, at=2)
    assert cleared is not None
    assert cleared.seq == 41


def test_a_finding_that_goes_before_its_time_is_never_told() -> None:
    assert fold([WARNING, WARNING, None] * 5, raise_after_s=2) == [None] * 15


def test_between_two_thresholds_nothing_is_raised_and_nothing_cleared() -> None:
    told = fold([UNDECIDED, WARNING, UNDECIDED, UNDECIDED, None], clear_after_s=0)
    assert [change and change.step for change in told] == [None, Step.RAISED, None, None, Step.CLEARED]


def test_a_condition_must_be_gone_without_a_break_until_that_is_told() -> None:
    told = fold([WARNING, None, None, UNDECIDED, None, None, None, None], clear_after_s=3)
    assert [change and change.step for change in told][-1] is Step.CLEARED
    assert sum(change is not None for change in told) == 2


def test_what_cleared_says_for_how_long_it_held() -> None:
    *_, change = fold([WARNING] * 10 + [None])
    assert change == Change(Step.CLEARED, WARNING, 10.0, rule="rule")


def test_what_gets_worse_is_told_once_for_each_degree() -> None:
    told = [change.step for change in fold([NOTE, WARNING, NOTE, WARNING, None]) if change is not None]
    assert told == [Step.RAISED, Step.WORSENED, Step.CLEARED]


def test_at_the_end_of_its_subject_what_is_raised_is_cleared_and_what_is_not_forgotten() -> None:
    conditions = Conditions()
    conditions.take("one", WARNING, clock_s=0, at=0)
    conditions.take("two", WARNING, clock_s=0, at=0, raise_after_s=9)
    assert [change.step for change in conditions.end(5)] == [Step.CLEARED]
    assert conditions.to_json() == {}


def test_what_is_open_is_given_most_severe_first() -> None:
    conditions = Conditions()
    conditions.take("one", NOTE, clock_s=0, at=0)
    conditions.take("two", WARNING, clock_s=0, at=0)
    conditions.take("three", WARNING, clock_s=0, at=0, raise_after_s=9)
    assert conditions.open() == [WARNING, NOTE]


@given(st.sampled_from(Severity))
def test_passive_warns_of_nothing_and_active_lowers_nothing(severity: Severity) -> None:
    assert at_level(severity, Level.PASSIVE).rank <= min(severity.rank, Severity.INFO.rank)
    assert at_level(severity, Level.ACTIVE) is severity
