"""When a task goes on by itself: ever later, at its own time, and never much after what is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.admission import Caps, Situation, Waiting, decide, describe_hold
from claudine_mcp.core.models import JSON, Kind, Priority
from claudine_mcp.core.requeue import (
    FACTOR,
    FIRST_S,
    LATEST_S,
    LONGEST_S,
    SPREAD_LEAST_S,
    SPREAD_MOST_S,
    Passing,
    is_quota,
    resume_at,
)

NOW = 1_000_000.0
OVERLOADED = Passing("overloaded")
TWENTY = [f"task{n:04}" for n in range(20)]


@pytest.mark.parametrize(
    ("resumes", "longest_s"), [(0, 10.0), (1, 40.0), (2, 160.0), (3, 640.0), (4, 1800.0), (100, 1800.0)]
)
def test_each_failure_is_followed_by_a_wait_up_to_four_times_as_long(resumes: int, longest_s: float) -> None:
    waits = [resume_at(task, resumes, OVERLOADED, NOW) - NOW for task in TWENTY]
    assert all(1.0 <= wait <= longest_s for wait in waits)
    assert max(waits) > longest_s / 2
    assert longest_s == min(LONGEST_S, FIRST_S * FACTOR**resumes)


@pytest.mark.parametrize("passing", [OVERLOADED, Passing("rate_limited", NOW + 3600)])
def test_twenty_tasks_that_failed_together_do_not_start_together(passing: Passing) -> None:
    times = sorted(resume_at(task, 0, passing, NOW) for task in TWENTY)
    assert times[-1] - times[0] > FIRST_S / 2
    # No second has more than a few of them.
    assert max(sum(at <= other < at + 1 for other in times) for at in times) <= 6


@given(st.text(min_size=1), st.integers(0, 50), st.floats(1, LATEST_S - 1))
def test_after_a_known_time_it_is_never_early_and_soon(task: str, resumes: int, wait_s: float) -> None:
    passing = Passing("rate_limited", NOW + wait_s)
    at = resume_at(task, resumes, passing, NOW)
    assert NOW + wait_s <= at <= NOW + wait_s + max(SPREAD_LEAST_S, min(SPREAD_MOST_S, wait_s / 10))
    assert at == resume_at(task, resumes, passing, NOW)


@pytest.mark.parametrize("resets_at", [None, NOW, NOW - 60, NOW + LATEST_S + 1])
def test_a_time_that_cannot_be_right_is_not_waited_for(resets_at: float | None) -> None:
    passing = Passing("rate_limited", resets_at)
    assert not is_quota(passing, NOW)
    assert resume_at("a", 0, passing, NOW) <= NOW + FIRST_S


def test_only_a_limit_of_which_the_end_is_known_is_a_quota_for_all() -> None:
    assert is_quota(Passing("rate_limited", NOW + 60), NOW)
    assert not is_quota(Passing("overloaded", NOW + 60), NOW)


def queued(number: int, kind: Kind, **more: float) -> Waiting:
    return Waiting(f"t{number}", number, Priority.P1, 0.0, kind=kind, **more)  # pyright: ignore[reportArgumentType]


def held(until: float) -> JSON:
    return {"rule": "apiLimited", "until": until, "since": NOW, "why": "its 5-hour limit"}


def test_what_holds_claude_code_holds_no_command_and_each_task_until_a_time_of_its_own() -> None:
    waiting = [queued(0, Kind.COMMAND), *(queued(number, Kind.CLAUDE) for number in range(1, 9))]
    decisions = decide(Situation(waiting, [], Caps(10, 50), NOW, claude_hold=held(NOW + 600)))
    assert decisions.admit == ["t0"]
    times = {hold["until"] for hold in decisions.hold.values()}
    assert len(times) == 8
    assert min(times) >= NOW + 600
    assert max(times) <= NOW + 660
    assert decisions.look_again_at == min(times)
    later = decide(Situation(waiting, [], Caps(10, 50), max(times), claude_hold=held(NOW + 600)))
    assert len(later.admit) == 9


def test_a_task_that_goes_on_by_itself_says_why_it_waits_until_its_time_is_changed() -> None:
    hold: JSON = {"rule": "requeued", "until": NOW + 30, "why": "the API answered 529 (overloaded)"}
    waiting = Waiting("a", 1, Priority.P1, 0.0, NOW + 30, hold=hold, kind=Kind.CLAUDE)
    assert decide(Situation([waiting], [], Caps(1, 1), NOW)).hold == {"a": hold}
    assert describe_hold(hold) == "goes on by itself: the API answered 529 (overloaded)"
    changed = Waiting("a", 1, Priority.P1, 0.0, NOW + 60, hold=hold, kind=Kind.CLAUDE)
    assert decide(Situation([changed], [], Caps(1, 1), NOW)).hold["a"]["rule"] == "notBefore"


def test_a_day_whose_money_is_spent_is_told_with_its_numbers() -> None:
    hold: JSON = {"rule": "dailyBudget", "until": NOW, "since": NOW, "spent": 5.2, "budget": 5.0}
    assert describe_hold(hold) == (
        "spent 5.20 of 5.00 USD today; goes on at 00:00, or when scheduling.dailyBudgetUsd is raised"
    )
