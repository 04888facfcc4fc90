"""Time in which a task is suspended counts nowhere."""

from __future__ import annotations

import time

import anyio
import pytest
from support import Home, ended, events_of, in_state, wait_for

from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.alerts import answer
from claudine_mcp.front.controls import resume, suspend
from claudine_mcp.front.details import task_view
from claudine_mcp.front.submit import CommandRequest

LIMIT_S = 6.0


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "not watched"])
async def test_a_timeout_and_a_silence_stand_still_while_a_task_is_suspended(
    home: Home, *, is_watched: bool
) -> None:
    home.configure(monitoring={"enabled": is_watched, "stallThreshold": f"{LIMIT_S}s"})
    async with home.front(keep=True) as front:
        request = CommandRequest(
            ["sh", "-c", "until [ -e done ]; do sleep 0.01; done"],
            timeout=f"{LIMIT_S:.0f}s",
            on_timeout="cancel",
        )
        task = await front.submit_command(request)
        await in_state(front, task, State.RUNNING)
        held, _ = await suspend(front, task.id)
        assert held.stopped is not None
        assert held.started_at is not None
        ran_s = held.stopped["at"] - held.started_at
        await anyio.sleep(LIMIT_S / 2)
        await home.kill_supervisor()
        await anyio.sleep(LIMIT_S / 2 + 1)
        view = await task_view(front, task.id)
        assert (view.state, view.silent_for_seconds) == ("suspended", None)
        assert view.runtime_seconds == pytest.approx(ran_s, abs=0.001)
        assert view.eta is not None
        assert view.eta.unknown == "it is suspended"
        assert await events_of(front, task, "task:stalled", "task:overdue") == []
        assert time.time() - held.started_at > LIMIT_S
        await resume(front, task.id)
        done = await ended(front, task)
        assert done.reason is not None
        assert done.reason.startswith("cancelled by its timeout of 6 s")
        assert (done.ran_s(0) or 0) > LIMIT_S - 1


async def test_a_run_past_its_timeout_is_suspended_if_that_was_wanted_and_goes_on_when_told_to(
    home: Home,
) -> None:
    async with home.front() as front:
        request = CommandRequest(
            ["sh", "-c", "until [ -e done ]; do sleep 0.01; done; echo right"],
            timeout="1s",
            on_timeout="suspend",
        )
        task = await front.submit_command(request)
        held = await in_state(front, task, State.SUSPENDED)
        assert held.stopped is not None
        assert held.stopped["by"] == "user"  # so that no policy resumes it
        (alert,) = (await task_view(front, task.id)).open_alerts or []
        assert "was suspended by its timeout of 1 s" in alert.message
        assert alert.actions == ["resume", "cancel", "snooze", "continue"]
        said = await answer(front, alert.alert_id, "resume")
        assert " on after " in said
        assert (await front.task(task.id)).state is State.RUNNING
        assert (await task_view(front, task.id)).open_alerts is None
        (home.work / "done").touch()
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
        assert len(await events_of(front, task, "task:suspended")) == 1


async def test_a_warning_is_answered_by_suspending(home: Home) -> None:
    async with home.front() as front:
        request = CommandRequest("until [ -e done ]; do sleep 0.01; done", timeout="1s")
        task = await front.submit_command(request)

        async def warning() -> int | None:
            alerts = (await task_view(front, task.id)).open_alerts or []
            return next((alert.alert_id for alert in alerts if "suspend" in alert.actions), None)

        number = await wait_for(warning, what="a warning")
        assert number is not None
        said = await answer(front, number, "suspend")
        assert "its memory stays taken: suspending frees none" in said
        held = await front.task(task.id)
        assert held.state is State.SUSPENDED
        assert held.stopped is not None
        assert held.stopped["why"] == f"the answer to alert {number}"
        assert (await task_view(front, task.id)).open_alerts is None  # it is answered
        await front.cancel(task.id)
