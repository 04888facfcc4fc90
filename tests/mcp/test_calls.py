"""What a session is told by an answer to one of its calls needs no telling by any other way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from claudine_mcp.core.models import Event, Severity
from claudine_mcp.front.waiting import Waited, Wanted
from claudine_mcp.server import calls
from claudine_mcp.server.calls import ASKED_WITHIN_S, Calls

END = Event("task:ended", Severity.WARNING, "it failed", 0.0, "t1", seq=5)
STALL = Event("task:stalled", Severity.WARNING, "it is silent", 0.0, "t1", seq=5)
ASKING = replace(STALL, suggestions=({"action": "cancel", "label": "end it"},))
FOR_THE_END = Wanted(after=0, task_ids=["t1"], until="ended")
WARNED = replace(FOR_THE_END, warned_after=4)


@pytest.mark.parametrize(
    ("wanted", "event", "fate"),
    [
        pytest.param(FOR_THE_END, END, "being told", id="the end that it waits for"),
        pytest.param(FOR_THE_END, STALL, "untold", id="a warning may be long before the end"),
        pytest.param(WARNED, STALL, "being told", id="a warning that ends the wait"),
        pytest.param(replace(WARNED, warned_after=5), STALL, "untold", id="a warning of before"),
        pytest.param(replace(WARNED, asked="all"), ASKING, "untold", id="what the user is asked"),
        pytest.param(replace(WARNED, asked="all"), STALL, "being told", id="what no form can ask"),
        pytest.param(Wanted(after=4), STALL, "being told", id="the next event"),
        pytest.param(Wanted(after=5), STALL, "untold", id="what came before the cursor"),
        pytest.param(Wanted(after=4, task_ids=["t2"]), STALL, "untold", id="of another task"),
        pytest.param(Wanted(after=4, types=["task:ended"]), STALL, "untold", id="of another type"),
        pytest.param(Wanted(after=4, min_severity=Severity.ERROR), STALL, "untold", id="too little"),
    ],
)
@pytest.mark.parametrize("how", ["a call", "an MCP task"])
def test_an_open_wait_tells_what_it_waits_for(how: str, wanted: Wanted, event: Event, fate: str) -> None:
    waits = Calls()
    if how == "a call":
        with waits.waiting(wanted):
            assert waits.fate(event) == fate
    else:
        waits.asked("w", wanted)
        assert waits.fate(event) == fate
        waits.left("w")
    assert waits.fate(event) == "untold"


@pytest.mark.parametrize("how", ["a call", "an MCP task"])
def test_what_was_answered_was_told_and_what_came_later_was_not(how: str) -> None:
    waits = Calls()
    waited = Waited([STALL], cursor=9)
    if how == "a call":
        with waits.waiting(FOR_THE_END) as answers:
            answers(waited)
    else:
        waits.asked("w", FOR_THE_END)
        waits.left("w", waited)
    assert waits.fate(STALL) == waits.fate(END) == "told"
    assert waits.fate(Event("task:ended", Severity.INFO, "again", 0.0, "t1", seq=10)) == "untold"


def test_a_wait_that_nobody_asks_after_any_more_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(calls, "monotonic", lambda: now)
    waits = Calls()
    waits.asked("w", FOR_THE_END)
    now += ASKED_WITHIN_S
    assert waits.fate(END) == "untold"
    waits.asked("w", FOR_THE_END)
    assert waits.fate(END) == "being told"


@pytest.mark.parametrize(
    ("severity", "still", "fate"),
    [
        pytest.param(Severity.WARNING, ["t2"], "untold", id="an early failure is told at once"),
        pytest.param(Severity.INFO, ["t2"], "being told", id="an early success with the others"),
        pytest.param(Severity.WARNING, [], "being told", id="the last end by the answer"),
    ],
)
def test_who_waits_for_all_ends_hears_of_a_failure_before(
    severity: Severity, still: list[str], fate: str
) -> None:
    waits = Calls()
    with waits.waiting(Wanted(after=0, task_ids=["t1", "t2"], until="allEnded")):
        assert waits.fate(replace(END, severity=severity), still) == fate
