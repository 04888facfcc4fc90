"""What delegated runs cost: of a task over all its runs, and of a day over all tasks."""

from __future__ import annotations

import json
import re

import pytest
from delegating import BASH, GATE, LIMIT_S, claude_command, handed_over, retried, run, using
from support import Home, ended, events_of, wait_for

from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.alerts import answer
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest

pytestmark = pytest.mark.claude


def given_budget(home: Home, task: Task, n: int) -> float:
    """Give the budget that a run was started with."""
    argv = json.loads((home.run_path(task, n) / "spec.json").read_bytes())["argv"]
    return float(argv[argv.index("--max-budget-usd") + 1])


async def held(front: Front, task: Task, words: str) -> str:
    """Wait until a queued task is held by a reason with these words in it; give the reason."""

    async def reason() -> str | None:
        queue = (await task_view(front, task.id)).queue
        return queue.reason if queue is not None and words in queue.reason else None

    found = await wait_for(reason, LIMIT_S, what=f"held: {words}")
    assert found is not None
    return found


async def test_each_run_gets_what_the_runs_before_have_left_of_the_tasks_budget(claude_home: Home) -> None:
    async with claude_home.front() as front:
        script = f"expensive 100000 | bash {GATE} | text done"
        task = await handed_over(front, script, max_budget_usd=4.0, **BASH)
        await using(front, task)
        await front.command(CommandKind.HIBERNATE, task.id, {})
        view = await task_view(front, task.id)
        spent = view.spent_usd
        assert spent is not None
        assert view.budget_left_usd == pytest.approx(4.0 - spent)
        await front.command(CommandKind.RESUME, task.id, {"prompt": "FAKE: expensive 200000 | text more"})
        done = await ended(front, task, LIMIT_S)
        assert (done.outcome, done.run) == (Outcome.FAILED, 2)
        assert "budget of" in (done.reason or "")
        assert given_budget(claude_home, task, 1) == 4.0
        assert given_budget(claude_home, task, 2) == pytest.approx(4.0 - spent)
        view = await task_view(front, task.id)
        assert view.budget_left_usd == 0.0
        assert view.spent_usd == view.total_cost_usd
        again = await retried(front, task)
        assert again.outcome is Outcome.NOT_STARTED
        assert re.fullmatch(
            r"its budget is spent: [\d.]+ of 4 USD \(maxBudgetUsd\) in its 2 runs", again.reason or ""
        )


async def test_a_day_whose_money_is_spent_holds_claude_code_and_asks_once(
    claude_home: Home,
) -> None:
    claude_home.configure(claude={"command": claude_command(claude_home)}, scheduling={"dailyBudgetUsd": 1.5})
    async with claude_home.front() as front:
        first, view = await run(front, "expensive 100000 | text dear")
        assert (first.outcome, view.spent_usd is not None and view.spent_usd > 1.5) == (
            Outcome.SUCCEEDED,
            True,
        )
        await front.command(CommandKind.REMOVE, None, {"taskIds": [first.id]})  # what it has cost stays
        second = await handed_over(front, "text second")
        third = await handed_over(front, "text third")
        reason = await held(front, second, " of 1.50 USD today; goes on at 00:00")
        assert reason.startswith("spent ")
        await held(front, third, "USD today")
        command = await front.submit_command(CommandRequest("true"))
        assert (await ended(front, command)).outcome is Outcome.SUCCEEDED
        await claude_home.kill_supervisor()  # the next one knows, and does not ask again
        assert (await ended(front, await front.submit_command(CommandRequest("true")))).outcome
        (told,) = await events_of(front, None, "limit:budget")
        assert "(scheduling.dailyBudgetUsd)" in told.message
        assert (await front.task(second.id)).state is State.QUEUED
        said = await answer(front, told.seq, "continue")
        assert said == "queued Claude Code starts again for today"
        for task in (second, third):
            assert (await ended(front, task, LIMIT_S)).outcome is Outcome.SUCCEEDED


async def test_a_budget_that_is_raised_in_the_users_file_lets_the_queue_go_on(claude_home: Home) -> None:
    claude = {"command": claude_command(claude_home)}
    claude_home.configure(claude=claude, scheduling={"dailyBudgetUsd": 1.5})
    async with claude_home.front() as front:
        await run(front, "expensive 100000 | text dear")
        task = await handed_over(front, "text second")
        await held(front, task, "of 1.50 USD today")
        claude_home.configure(claude=claude, scheduling={"dailyBudgetUsd": 100})
        assert (await ended(front, task, LIMIT_S)).outcome is Outcome.SUCCEEDED
        (told,) = await events_of(front, None, "limit:budget")
        (over,) = await events_of(front, None, "system:recovered")
        assert over.data == {"of": "limit:budget", "alertId": told.seq}
