"""The judge of the live suites: it finds whatever differs from what is true, and nothing where nothing does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from troubles import CASES, LATE_TICKS, Course, Trouble, at_most, deviations

from claudine_mcp.core.models import JSON, Event, Severity

TROUBLE = Trouble("task:stalled", Severity.WARNING, 10.0, 5.0, {"why": "tool"})
STALLED = Event("task:stalled", Severity.WARNING, "it is silent", 1010.0, "t", data={"why": "tool"})
OVER = Event("task:recovered", Severity.INFO, "it speaks", 1105.0, "t", data={"of": "task:stalled"})
ENDED = Event("task:ended", Severity.INFO, "it ended", 1110.0, "t", data={"outcome": "succeeded"})
COURSE = Course(began=1000.0, over=1100.0, told=[STALLED, OVER, ENDED])


def event(kind: str, data: JSON | None = None) -> Event:
    return Event(kind, Severity.WARNING, kind, 1050.0, "t", data=data or {})


def test_a_course_as_it_should_be_has_no_deviation() -> None:
    assert deviations([TROUBLE], COURSE) == []
    assert deviations([], Course(told=[event("task:started"), event("task:active"), ENDED])) == []


@pytest.mark.parametrize(
    ("told", "deviation"),
    [
        ([ENDED], "task:stalled was told 0 times, not once"),
        ([STALLED, STALLED, OVER, ENDED], "task:stalled was told 2 times, not once"),
        ([STALLED, ENDED], "the end of task:stalled was told 0 times, not once"),
        ([STALLED, OVER, OVER, ENDED], "the end of task:stalled was told 2 times, not once"),
        ([STALLED, event("task:overdue"), OVER, ENDED], "task:overdue was told, and is not true"),
        (
            [STALLED, OVER, event("task:recovered", {"of": "task:overdue"}), ENDED],
            "the end of something that is not true",
        ),
        ([replace(STALLED, severity=Severity.ERROR), OVER, ENDED], "is error, not warning"),
        ([replace(STALLED, severity=Severity.NOTICE), OVER, ENDED], "is notice, not warning"),
        ([replace(STALLED, data={"why": "model"}), OVER, ENDED], "has why = 'model', not 'tool'"),
        ([replace(STALLED, at=1000.0 + at_most(10) + 1), OVER, ENDED], "was told after"),
        (
            [STALLED, replace(OVER, at=1100.0 + at_most(5) + 1), ENDED],
            "the end of task:stalled was told after",
        ),
        ([STALLED, replace(OVER, at=1099.0), ENDED], "the end of task:stalled was told after -1 s"),
        ([STALLED, OVER, replace(ENDED, data={"outcome": "failed"})], "it ended"),
    ],
)
def test_what_differs_is_found(told: list[Event], deviation: str) -> None:
    (found,) = deviations([TROUBLE], replace(COURSE, told=told))
    assert deviation in found


def test_an_alert_that_stays_open_is_found() -> None:
    assert deviations([TROUBLE], replace(COURSE, open_after=["task:stalled"])) == [
        "task:stalled is still open"
    ]


def test_what_lasts_until_the_end_is_not_said_to_be_over_before() -> None:
    lasting = replace(TROUBLE, over_s=None)
    assert deviations([lasting], replace(COURSE, told=[STALLED, ENDED])) == []
    (found,) = deviations([lasting], COURSE)
    assert "is said to be over, and was not" in found


def test_only_what_may_be_milder_at_first_may_get_worse() -> None:
    told = [
        replace(STALLED, severity=Severity.NOTICE),
        replace(STALLED, data={"why": "tool", "worse": True}),
        OVER,
        ENDED,
    ]
    assert deviations([replace(TROUBLE, may_worsen=True)], replace(COURSE, told=told)) == []
    assert len(deviations([TROUBLE], replace(COURSE, told=told))) == 1


def test_each_bound_is_that_of_its_rule_and_what_a_busy_machine_adds() -> None:
    assert at_most(0) == LATE_TICKS
    assert len({case.name for case in CASES}) == len(CASES)
    known = {case.name for case in CASES}
    assert all(case.waits_for in known | {""} for case in CASES)
