"""Someone sets the clock, while events, snoozes, timeouts and conditions are under way."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from alerting import alerts_about
from asking import asking_task
from staging import staged
from support import Home, events_of, in_state, wait_for

from claudine_mcp.core.models import Event, Severity, Task
from claudine_mcp.core.states import State
from claudine_mcp.core.units import parse_time
from claudine_mcp.front.alerts import answer
from claudine_mcp.front.details import task_view
from claudine_mcp.front.following import events_page
from claudine_mcp.front.front import Front
from claudine_mcp.front.metrics import task_metrics
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.front.system_views import MetricsView

SPEAKS_WHEN_TOLD = """
until test -e release; do
    if test -e speak; then rm speak; echo word; fi
    sleep 0.05
done
"""
HOUR_S = 3600


class Clock:
    """The clock of supervisor and fronts."""

    def __init__(self, home: Home, patch: pytest.MonkeyPatch) -> None:
        self.path = home.folder / "clock"
        self._patch = patch
        self._time = time.time
        self.set(0)

    def set(self, ahead_s: float) -> None:
        """Set it, from one moment to the next."""
        draft = self.path.with_suffix(".new")
        draft.write_text(f"{ahead_s}")
        draft.replace(self.path)
        self._patch.setattr(time, "time", lambda: self._time() + ahead_s)


@contextmanager
def clocked(home: Home, patch: pytest.MonkeyPatch, **monitoring: Any) -> Generator[Clock]:
    """Have a supervisor with a clock that can be set."""
    home.configure(monitoring={"sampleInterval": "100ms", **monitoring})
    clock = Clock(home, patch)
    with staged(home, CLOCK=str(clock.path)) as supervisor:
        supervisor.start()
        try:
            yield clock
        finally:
            (home.work / "release").touch()


async def told(front: Front, task: Task, kind: str, times: int) -> Event:
    """Wait until this was told so often; give the last."""

    async def look() -> list[Event] | None:
        found = await events_of(front, task, kind)
        return found if len(found) == times else None

    return (await wait_for(look, what=f"{times} of {kind}") or [])[-1]


async def sampled(front: Front, task: Task) -> MetricsView | None:
    """Give what a task has used, if anything is known of the last ten minutes."""
    found = await task_metrics(front, task.id)
    return None if found.notes else found


async def test_a_clock_that_is_set_back_an_hour_confuses_nobody(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clocked(home, monkeypatch, stallThreshold="1s") as clock:
        async with home.front() as front:
            task = await front.submit_command(CommandRequest(SPEAKS_WHEN_TOLD, name="import", timeout="1h"))
            stalled = await told(front, task, "task:stalled", 1)
            assert "comes up again" in await answer(front, stalled.seq, "snooze", snooze="30m")
            assert await alerts_about(front, task.id) == []
            before = await events_page(front, 0, min_severity=Severity.DEBUG)
            clock.set(-HOUR_S)
            # The half hour would last an hour and a half.
            assert [alert.alert_id for alert in await alerts_about(front, task.id)] == [stalled.seq]
            (home.work / "speak").touch()
            recovered = await told(front, task, "task:recovered", 1)
            again = await told(front, task, "task:stalled", 2)
            after = await events_page(front, before.cursor, min_severity=Severity.DEBUG)
            everything = await events_page(front, 0, min_severity=Severity.DEBUG)
            view = await task_view(front, task.id)
            metrics = await wait_for(lambda: sampled(front, task), what="samples by the new clock")
    assert everything.events == before.events + after.events
    assert recovered.at < stalled.at
    assert stalled.seq < recovered.seq < again.seq
    assert 0 <= recovered.data["heldSeconds"] < HOUR_S
    assert 1000 <= again.data["stalledFor"] < 1000 * HOUR_S
    assert 0 <= again.at - parse_time(again.data["lastActivity"], "lastActivity") < HOUR_S
    for event in after.events:
        assert not any(words in event.message for words in (" -", " 59 min", " 1 h")), event.message
    assert 0 <= (view.runtime_seconds or 0) < HOUR_S
    assert 0 <= (view.silent_for_seconds or 0) < HOUR_S
    assert metrics is not None
    assert metrics.rss_bytes is not None


@pytest.mark.parametrize("ahead_s", [2 * HOUR_S, -2 * HOUR_S])
async def test_a_clock_that_is_set_neither_ends_a_task_nor_makes_it_overdue_nor_silent(
    home: Home, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    with clocked(home, monkeypatch, stallThreshold="1h") as clock:
        async with home.front() as front:
            tasks = [
                await front.submit_command(CommandRequest(SPEAKS_WHEN_TOLD, timeout="1h", on_timeout=then))
                for then in ("notify", "cancel")
            ]
            for task in tasks:
                await in_state(front, task, State.RUNNING)
            clock.set(ahead_s)
            (home.work / "speak").touch()
            await wait_for(lambda: any(home.output(task) for task in tasks))
            fence = await front.submit_command(CommandRequest("sleep 1"))
            await told(front, fence, "task:ended", 1)
            for task in tasks:
                assert (await front.task(task.id)).state is State.RUNNING
                kinds = {event.type for event in await events_of(front, task)}
                assert kinds <= {"task:queued", "task:started", "task:active", "task:progress"}


async def test_a_question_is_not_denied_because_the_clock_was_set(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clocked(home, monkeypatch) as clock:
        async with asking_task(home) as asker:
            asked = await asker.ask(command="make install")
            clock.set(HOUR_S)
            await told(asker.front, await asker.front.submit_command(CommandRequest("true")), "task:ended", 1)
            assert asked.heard == {}
            await answer(asker.front, asked.alert_id, "allow")
            assert (await asked.answer())["behavior"] == "allow"
