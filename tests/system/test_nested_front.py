"""A front that runs inside a task may have to start the next supervisor, which is then below that task's keeper."""

from __future__ import annotations

import sys

import psutil
import pytest
from support import Home, alive, holder_of, in_state, kill, wait_for

from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.host.processes import descendants, reader

NESTED_FRONT = """
import os, anyio
from claudine_mcp.front import supervision
from claudine_mcp.front.front import open_front

async def main():
    supervision.LOOK_EVERY_S = 0.02
    async with open_front(os.environ, os.getcwd(), {"by": "a task"}) as front:
        print("open", flush=True)
        await supervision.keep_supervised(front.db, front.state_dir, front.env)

anyio.run(main)
"""


@pytest.mark.parametrize("again", [False, True], ids=["while it serves", "after it was killed, too"])
async def test_cancelling_a_task_spares_the_supervisor_below_it_and_all_other_tasks(
    home: Home, again: bool
) -> None:
    home.configure(limits={"killGrace": "200ms"})
    async with home.front() as front:
        nest = await front.submit_command(
            CommandRequest([sys.executable, "-c", NESTED_FRONT], env={"X": "1"})
        )
        before = await front.submit_command(CommandRequest("exec sleep 300"))
        await wait_for(lambda: home.output(nest) == "open\n")
        await in_state(front, before, State.RUNNING)

        await home.kill_supervisor()
        await wait_for(lambda: home.epoch() == 2)
        supervisor = await home.supervisor()
        assert supervisor.pid in descendants(reader().snapshot(), [home.keeper_pid(nest)])
        during = await front.submit_command(CommandRequest("exec sleep 300"))
        orphan = await front.submit_command(CommandRequest("exec sleep 300"))
        for task in (during, orphan):
            await in_state(front, task, State.RUNNING)
            await wait_for((home.run_path(task) / "began").exists)
            assert home.main_pid(task) in descendants(reader().snapshot(), [home.keeper_pid(nest)])

        if again:
            kill(home.keeper_pid(orphan))
            await home.kill_supervisor()
            await wait_for(lambda: home.epoch() == 3)
            supervisor = await home.supervisor()
            # Now the orphan itself is a child of the wrong keeper.
            await wait_for(lambda: psutil.Process(home.main_pid(orphan)).ppid() == home.keeper_pid(nest))
        done, result = await front.cancel(nest.id)
        assert done.outcome is Outcome.CANCELLED
        assert result["stopped"]["processes"] == 1
        assert not alive(home.main_pid(nest))
        assert holder_of(home.state_dir) == supervisor
        assert alive(supervisor.pid)
        for task in (before, during, orphan):
            assert (await front.task(task.id)).state is State.RUNNING
            assert alive(home.main_pid(task))
            assert alive(home.keeper_pid(task)) or (task is orphan and again)
