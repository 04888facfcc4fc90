from __future__ import annotations

import pytest

from claudine_mcp.core.alerts import Caller, Passed, concerns, is_alert, passed_with
from claudine_mcp.core.models import Event, Severity

ME = Caller("s1", "/project")
SUBMITTED = {"session": "s1", "project": "/project"}
ORPHANED = {"session": "s0", "project": "/project"}


def event(type_: str, severity: Severity = Severity.WARNING, **data: object) -> Event:
    return Event(type_, severity, "words", 0.0, task_id="t1", data=data)


@pytest.mark.parametrize(
    ("submitter", "live", "mine"),
    [
        pytest.param(None, {"s2"}, True, id="the machine concerns everyone"),
        pytest.param(SUBMITTED, {"s1", "s2"}, True, id="my own task"),
        pytest.param(SUBMITTED, set[str](), True, id="my own task, before I was announced"),
        pytest.param(ORPHANED, {"s0", "s1"}, False, id="another session's"),
        pytest.param(ORPHANED, {"s1"}, True, id="of a session that is gone, in my project"),
        pytest.param({"session": "s0", "project": "/other"}, {"s1"}, False, id="gone, in another project"),
        pytest.param({"project": "/project"}, {"s1"}, True, id="from the command line, in my project"),
        pytest.param({"project": "/project/sub"}, {"s1"}, True, id="from a folder within my project"),
        pytest.param({"project": "/project2"}, {"s1"}, False, id="from a folder beside it"),
        pytest.param({"by": "an earlier release"}, {"s1"}, False, id="nobody knows whose"),
    ],
)
def test_a_task_concerns_its_session_and_then_its_project(
    submitter: dict[str, str] | None, live: set[str], mine: bool
) -> None:
    assert concerns(submitter, ME, live.__contains__) is mine


@pytest.mark.parametrize(
    ("happened", "alert", "passed"),
    [
        (event("task:stalled"), True, None),
        (event("task:started", Severity.INFO), False, Passed("t1")),
        (event("task:ended", Severity.INFO), False, Passed("t1")),
        (event("task:ended", Severity.WARNING), True, Passed("t1")),
        (event("task:requeued", Severity.INFO), False, Passed("t1")),
        (event("task:recovered", Severity.INFO, of="task:stalled"), False, Passed("t1", "task:stalled")),
        (
            event("task:recovered", Severity.INFO, of="task:needs-permission", alertId=7),
            False,
            Passed("t1", "task:needs-permission", 7),
        ),
        (event("task:checkpoint", Severity.INFO), False, None),
    ],
)
def test_an_event_raises_an_alert_ends_some_or_does_neither(
    happened: Event, alert: bool, passed: Passed | None
) -> None:
    assert is_alert(happened) is alert
    assert passed_with(happened) == passed
