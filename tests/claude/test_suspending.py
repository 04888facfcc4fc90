"""The real Claude Code, suspended in the middle of what it does."""

from __future__ import annotations

import anyio
import pytest
from delegating import BASH, GATE, LIMIT_S, handed_over, printed, using
from fake_api import FakeApi
from support import Home, ended, wait_for
from trees import cpu_ticks, marked, stopped, switches

from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.controls import resume, said_of_suspending, suspend
from claudine_mcp.front.details import task_view

pytestmark = pytest.mark.claude

FORKS = f"for i in 1 2 3; do ({GATE}) & done; {GATE}; wait; echo worked > made"
LONG_S = 2.0


async def test_a_bash_tool_that_forks_is_suspended_as_a_whole_and_finishes_with_the_right_result(
    claude_home: Home,
) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, f"bash {FORKS} | text all done", **BASH)
        await using(front, task)
        held, result = await suspend(front, task.id)
        pids = marked(f"{task.id}.1")
        assert result["processes"] == len(pids) >= 5  # Claude Code, its shell, and three that it has forked
        assert all(stopped(pids))
        assert "Claude Code" in said_of_suspending(held, result)
        before = cpu_ticks(pids), switches(pids)
        await anyio.sleep(LONG_S)
        assert marked(f"{task.id}.1") == pids
        assert (cpu_ticks(pids), switches(pids)) == before
        await resume(front, task.id)
        (claude_home.work / "open").touch()
        done = await ended(front, task, LIMIT_S)
        assert (done.outcome, (await task_view(front, task.id)).result) == (Outcome.SUCCEEDED, "all done")
        assert (claude_home.work / "made").read_text() == "worked\n"


async def test_one_that_is_suspended_for_longer_than_its_request_timeout_recovers(
    claude_home: Home, api: FakeApi
) -> None:
    claude_home.env["API_TIMEOUT_MS"] = "3000"
    async with claude_home.front() as front:
        task = await handed_over(front, "hang times 1 | text done")
        await wait_for(lambda: api.requests, what="a request")
        await suspend(front, task.id)
        await anyio.sleep(5)
        assert len(api.requests) == 1
        assert (await front.task(task.id)).state is State.SUSPENDED
        await resume(front, task.id)
        done = await ended(front, task, LIMIT_S)
        assert (done.outcome, (await task_view(front, task.id)).result) == (Outcome.SUCCEEDED, "done")
        retries = [line for line in printed(claude_home, task, "system") if line["subtype"] == "api_retry"]
        assert [line["error_status"] for line in retries] == [None]
