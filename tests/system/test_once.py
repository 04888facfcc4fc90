from __future__ import annotations

import sys

import anyio
from support import Home, alive, ended

from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.host.lease import try_take

ONCE = [sys.executable, "-P", "-m", "claudine_mcp", "supervise", "--once"]


async def test_one_pass_in_the_foreground_starts_what_is_due_and_leaves_it_running(home: Home) -> None:
    async with home.front() as front:
        lease = try_take(front.state_dir)  # no front starts one now
        assert lease is not None
        task = await front.submit_command(CommandRequest("sleep 1000"))
        lease.release()
        done = await anyio.run_process(ONCE, env=home.env, check=False)
        assert done.returncode == 0, done.stderr
        assert (await front.task(task.id)).state is State.RUNNING
        assert alive(home.main_pid(task))
        assert (await front.cancel(task.id))[0].outcome is Outcome.CANCELLED


async def test_a_second_supervisor_is_refused(home: Home) -> None:
    async with home.front() as front:
        lease = try_take(front.state_dir)
        done = await anyio.run_process(ONCE, env=home.env, check=False)
        assert (done.returncode, b"another supervisor holds the lease" in done.stderr) == (3, True)
        assert lease is not None
        lease.release()
        await ended(front, await front.submit_command(CommandRequest("true")))
