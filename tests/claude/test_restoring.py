"""The real Claude Code, gone on from a checkpoint in a session of its own."""

from __future__ import annotations

import pytest
from delegating import BASH, GATE, LIMIT_S, handed_over, printed, using
from fake_api import FakeApi
from support import Home, ended

from claudine_mcp.core.states import Outcome
from claudine_mcp.front.checkpoints import make_checkpoint
from claudine_mcp.front.details import task_view
from claudine_mcp.front.restoring import restore

pytestmark = pytest.mark.claude


async def test_a_checkpoint_goes_on_in_a_new_task_with_a_copy_of_the_session(
    claude_home: Home, api: FakeApi
) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, f"bash {GATE} | text the first", **BASH)
        await using(front, task)
        made = await make_checkpoint(front, task.id)
        (claude_home.work / "open").touch()
        assert (await ended(front, task, LIMIT_S)).outcome is Outcome.SUCCEEDED

        done = await restore(front, made.checkpoint_id, prompt="FAKE: text the second")
        copy = await ended(front, done.task_id, LIMIT_S)

        assert copy.outcome is Outcome.SUCCEEDED, copy.reason
        assert copy.session_id not in {None, task.session_id}
        assert {line["session_id"] for line in printed(claude_home, copy)} == {copy.session_id}
        view = await task_view(front, copy.id)
        assert view.result == "the second"
        assert "the first" in api.requests[-1].text
        # What the session had cost before is not the copy's.
        first = await task_view(front, task.id)
        assert view.cost_usd == pytest.approx((view.total_cost_usd or 0) - (first.cost_usd or 0), abs=1e-6)
