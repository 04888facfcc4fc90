from __future__ import annotations

from support import Home, ended

from claudine_mcp.core.states import Outcome
from claudine_mcp.front.submit import CommandRequest


async def test_a_command_runs_and_its_outcome_is_known(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest("echo hi"))
        done = await ended(front, task)
    assert (done.outcome, done.exit_code, home.output(task)) == (Outcome.SUCCEEDED, 0, "hi\n")
