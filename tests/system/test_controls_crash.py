"""The supervisor killed between every two steps of suspending and of resuming: there are two ends, none between."""

from __future__ import annotations

import pytest
from staging import staged
from support import Home, ended, events_of
from trees import TREES, stopped, tree

from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.controls import resume, suspend

SUSPEND = [
    "commit<:3",  # taken
    "commit>:3",
    "suspend-taken:1",
    "signal<:1",
    "signal>:1",
    "signal>:3",
    "suspend-signalled:1",
    "commit<:4",  # suspended, and the command answered
    "commit>:4",
    "suspend-committed:1",
]
RESUME = [point.replace("suspend", "resume") for point in SUSPEND]
SAME = {"commit>:3", "commit>:4"}
"""Nothing happens between these and the point after them."""


@pytest.mark.parametrize("steps", [SUSPEND, RESUME], ids=["suspending", "resuming"])
async def test_the_points_of_a_control_are_all_known(home: Home, steps: list[str]) -> None:
    home.configure(monitoring={"enabled": False})  # which has transactions of its own
    async with home.front() as front:
        task, _ = await tree(home, front, *TREES["children"])
        if steps is RESUME:
            await suspend(front, task.id)
        await home.kill_supervisor()
        with staged(home, steps[-1]) as supervisor:
            supervisor.start()
            await (resume if steps is RESUME else suspend)(front, task.id)
            await supervisor.killed()
        control = [point for point in supervisor.points if not point.startswith("signal")]
        assert control[-7:] == [point for point in steps if not point.startswith("signal")]
        await front.cancel(task.id)


@pytest.mark.parametrize("at", [point for point in SUSPEND if point not in SAME])
async def test_a_suspension_that_was_begun_is_finished_by_the_next_supervisor(home: Home, at: str) -> None:
    async with home.front() as front:
        task, pids = await tree(home, front, *TREES["children"])
        await home.kill_supervisor()
        with staged(home, at) as supervisor:
            supervisor.start()
            done, result = await suspend(front, task.id, "enough")
            await supervisor.killed()
        assert (done.state, result["processes"]) == (State.SUSPENDED, len(pids))
        assert all(stopped(pids))
        assert len(await events_of(front, task, "task:suspended")) == 1
        assert not home.query("SELECT 1 FROM commands WHERE done_at IS NULL")
        going, _ = await resume(front, task.id)
        assert going.state is State.RUNNING
        (home.work / "done").touch()
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
        assert home.output(task) == "right\n"


@pytest.mark.parametrize("at", [point for point in RESUME if point not in SAME])
async def test_a_resumption_that_was_begun_is_finished_by_the_next_supervisor(home: Home, at: str) -> None:
    async with home.front() as front:
        task, pids = await tree(home, front, *TREES["children"])
        await suspend(front, task.id)
        await home.kill_supervisor()
        with staged(home, at) as supervisor:
            supervisor.start()
            going, _ = await resume(front, task.id)
            await supervisor.killed()
        assert (going.state, going.stopped) == (State.RUNNING, None)
        assert going.suspended_s > 0
        assert not any(stopped(pids))
        (told,) = await events_of(front, task, "task:resumed")
        assert told.data["by"] == "user"
        assert not home.query("SELECT 1 FROM commands WHERE done_at IS NULL")
        (home.work / "done").touch()
    async with home.front(keep=True) as front:
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
    assert home.output(task) == "right\n"
