"""The real Claude Code, put to rest and resumed: the same session goes on, and nothing is counted twice."""

from __future__ import annotations

import signal

import pytest
from delegating import BASH, GATE, LIMIT_S, handed_over, printed, using
from fake_api import FakeApi
from staging import staged
from support import Home, alive, ended, events_of, in_state, wait_for

from claudine_mcp.core.errors import NotNow
from claudine_mcp.core.models import JSON, CommandKind, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.supervisor.hibernation import GO_ON

pytestmark = pytest.mark.claude

FORKING = f"echo $$ >> began && (trap '' TERM; sleep 300) & {GATE}"


async def hibernated(front: Front, task: Task) -> JSON:
    return await front.command(CommandKind.HIBERNATE, task.id, {})


async def resumed(front: Front, task: Task, **args: str) -> Task:
    """Resume, and wait for the end."""
    await front.command(CommandKind.RESUME, task.id, args)
    return await ended(front, task, LIMIT_S)


async def test_in_the_middle_of_a_tool_it_is_put_to_rest_and_goes_on_in_its_session(
    claude_home: Home, api: FakeApi
) -> None:
    script = f"expensive 100000 | bash {FORKING} | text the work is done"
    async with claude_home.front() as front:
        task = await handed_over(front, script, **BASH)
        await using(front, task)
        await wait_for(lambda: claude_home.lines("began"), LIMIT_S, what="the tool runs")
        answer = await hibernated(front, task)
        resting = await task_view(front, task.id)
        assert resting.state == State.HIBERNATED
        assert answer["freedBytes"] > 50_000_000
        assert answer["stopped"]["signals"][0] == signal.SIGINT.name
        assert not alive(claude_home.main_pid(task))
        assert not alive(int(claude_home.lines("began")[0]))
        spent = resting.cost_usd or 0.0
        assert spent > 1

        done = await resumed(front, task)
        view = await task_view(front, task.id)
    assert (done.outcome, done.run, done.session_id) == (Outcome.SUCCEEDED, 2, task.session_id)
    assert {line["session_id"] for line in printed(claude_home, task, n=2)} == {task.session_id}
    assert view.result == "the work is done"
    assert GO_ON in api.requests[-1].text
    # What was spent before is in the session's total, once, and not in the second run.
    assert view.total_cost_usd == pytest.approx(spent + (view.cost_usd or 0), abs=1e-6)
    assert (view.cost_usd or 0) < 1


async def test_it_is_told_what_whoever_resumes_it_says(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, f"bash {GATE} | text unused", **BASH)
        await using(front, task)
        await hibernated(front, task)
        done = await resumed(front, task, prompt="FAKE: text told otherwise")
        assert done.outcome is Outcome.SUCCEEDED
        assert (await task_view(front, task.id)).result == "told otherwise"


async def test_before_the_first_answer_it_is_not_put_to_rest(
    claude_home: Home,
) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, "slow 3 | text hello")
        await in_state(front, task, State.RUNNING)
        with pytest.raises(NotNow, match="the model has not answered task"):
            await hibernated(front, task)
        assert (await ended(front, task, LIMIT_S)).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("at", ["hibernate-committed:1", "signalled:1", "hibernated:1"])
async def test_wherever_its_supervisor_dies_it_is_put_to_rest_and_resumed(claude_home: Home, at: str) -> None:
    with staged(claude_home, at) as supervisor:
        async with claude_home.front(keep=True) as front:
            supervisor.start()
            task = await handed_over(front, f"bash {GATE} | text the work is done", **BASH)
            await using(front, task)
            await hibernated(front, task)
            await supervisor.killed()
            assert (await front.task(task.id)).state is State.HIBERNATED
            assert len(await events_of(front, task, "task:hibernated")) == 1
            done = await resumed(front, task)
            assert (done.outcome, done.session_id) == (Outcome.SUCCEEDED, task.session_id)
            assert (await task_view(front, task.id)).result == "the work is done"
