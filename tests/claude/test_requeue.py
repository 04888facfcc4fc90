"""The real Claude Code, failed by the API: its task waits, goes on by itself, and gives up in the end."""

from __future__ import annotations

import time

import pytest
from delegating import BASH, GATE, LIMIT_S, handed_over, printed, set_up, using
from fake_api import FakeApi
from fake_script import Fault
from staging import staged
from support import Home, ended, events_of, in_state, wait_for

from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.core.units import parse_time
from claudine_mcp.front.alerts import answer
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest

pytestmark = pytest.mark.claude


@pytest.fixture
def resuming(claude_home: Home) -> Home:
    """A state directory whose tasks go on by themselves."""
    set_up(claude_home, maxResumes=2)
    claude_home.env["CLAUDE_CODE_MAX_RETRIES"] = "1"
    return claude_home


@pytest.fixture
def logged_in(resuming: Home) -> Home:
    """The same, whose Claude Code has a login, and so a quota."""
    del resuming.env["ANTHROPIC_API_KEY"]
    resuming.env["CLAUDE_CODE_OAUTH_TOKEN"] = "sk-ant-oat01-that-only-a-fake-takes"
    return resuming


async def requeued(front: Front, task: Task, times: int = 1) -> Task:
    """Wait until a task is queued to go on by itself; give it."""

    async def there() -> Task | None:
        found = await front.task(task.id)
        return found if (found.state, found.resumes) == (State.QUEUED, times) else None

    found = await wait_for(there, LIMIT_S, what="it is queued again")
    assert found is not None
    return found


async def hurried(front: Front, task: Task) -> None:
    """Have a task that waits for its time go on now."""
    await front.command(CommandKind.UPDATE, task.id, {"not_before": time.time()})


async def test_an_overload_is_waited_for_and_the_session_goes_on_by_itself(
    resuming: Home, api: FakeApi
) -> None:
    async with resuming.front() as front:
        task = await handed_over(front, f"bash {GATE} | text the work is done", **BASH)
        after = await front.submit_command(CommandRequest("echo after", depends_on=[task.id]))
        await using(front, task)
        api.fault = Fault(529)
        (resuming.work / "open").touch()
        waiting = await requeued(front, task)
        view = await task_view(front, task.id)
        assert view.queue is not None
        assert "goes on by itself: the API answered 529 (overloaded)" in view.queue.reason
        assert view.queue.until == view.not_before
        assert waiting.not_before is not None
        assert (await front.task(after.id)).state is State.QUEUED
        (told,) = await events_of(front, task, "task:requeued")
        assert (told.data["resumes"], told.data["until"]) == (1, view.not_before)
        assert "(1 of 2)" in told.message

        api.fault = None
        await hurried(front, task)
        done = await ended(front, task, LIMIT_S)
        view = await task_view(front, task.id)
        assert (done.outcome, done.run, done.resumes) == (Outcome.SUCCEEDED, 2, 1), done.reason
        assert view.result == "the work is done"
        assert {line["session_id"] for line in printed(resuming, task, n=2)} == {task.session_id}
        assert api.told("Go on with your task")
        assert len(await events_of(front, task, "task:ended")) == 1
        assert (await ended(front, after)).outcome is Outcome.SUCCEEDED


async def test_one_that_had_not_begun_is_told_its_prompt_again_without_being_asked(
    resuming: Home, api: FakeApi
) -> None:
    async with resuming.front() as front:
        api.fault = Fault(529)
        task = await handed_over(front, "text the work is done")
        await requeued(front, task)
        api.fault = None
        done = await ended(front, task, LIMIT_S)  # nobody hurries it: ten seconds at most
        assert (done.outcome, done.session_id) == (Outcome.SUCCEEDED, task.session_id), done.reason
        assert (await task_view(front, task.id)).result == "the work is done"


async def test_an_api_that_cannot_be_reached_is_waited_for(resuming: Home, api: FakeApi) -> None:
    url = resuming.env["ANTHROPIC_BASE_URL"]
    resuming.env["ANTHROPIC_BASE_URL"] = "http://127.0.0.1:9"
    async with resuming.front() as front:
        task = await handed_over(front, "text the work is done")
        waiting = await requeued(front, task)
        assert "could not be reached" in str((waiting.hold or {}).get("why"))
        env = resuming.state_dir / "tasks" / task.id / "env"
        env.write_text(env.read_text().replace("http://127.0.0.1:9", url))
        await hurried(front, task)
        assert (await ended(front, task, LIMIT_S)).outcome is Outcome.SUCCEEDED


async def test_in_the_end_it_is_the_true_failure_with_all_that_was_tried(
    resuming: Home, api: FakeApi
) -> None:
    async with resuming.front() as front:
        api.fault = Fault(529)
        task = await handed_over(front, "text never")
        for times in (1, 2):
            await requeued(front, task, times)
            await hurried(front, task)
        done = await ended(front, task, LIMIT_S)
        assert (done.outcome, done.run, done.resumes) == (Outcome.FAILED, 3, 2)
        assert "529 (overloaded)" in (done.reason or "")
        assert (done.reason or "").endswith("it went on by itself 2 times before (claude.maxResumes)")
        api.fault = None
        await front.command(CommandKind.RETRY, task.id, {})
        again = await ended(front, task, LIMIT_S)
        assert (again.outcome, again.resumes) == (Outcome.SUCCEEDED, 0)


async def test_what_no_waiting_can_mend_is_a_failure_at_once(resuming: Home) -> None:
    async with resuming.front() as front:
        for script in ("error 400", "error 401"):
            done = await ended(front, await handed_over(front, script), LIMIT_S)
            assert (done.outcome, done.run, done.resumes) == (Outcome.FAILED, 1, 0)


async def test_a_quota_that_is_gone_holds_all_claude_code_until_it_is_reset_and_says_so_once(
    logged_in: Home, api: FakeApi
) -> None:
    async with logged_in.front() as front:
        resets_at = time.time() + 8
        api.fault = Fault(429, resets_in_s=8)
        first = await handed_over(front, "text first")
        waiting = await requeued(front, first)
        assert waiting.not_before is not None
        assert resets_at - 2 <= waiting.not_before <= resets_at + 4
        requests = len(api.requests)
        api.fault = None
        second = await handed_over(front, "text second")
        third = await handed_over(front, "text third")
        command = await front.submit_command(CommandRequest("true"))
        assert (await ended(front, command)).outcome is Outcome.SUCCEEDED
        await logged_in.kill_supervisor()  # the next one knows
        await front.submit_command(CommandRequest("true"))
        for task in (second, third):
            queue = (await task_view(front, task.id)).queue
            assert queue is not None
            assert "the quota of Claude Code is gone: the API answered 429 (rate limit)" in queue.reason
            assert parse_time(str(queue.until), "until") >= resets_at - 2
        assert len(api.requests) == requests
        (told,) = await events_of(front, None, "api:limited")
        assert told.data["tasks"] == [{"task": first.id}]
        for task in (first, second, third):
            done = await ended(front, task, LIMIT_S)
            assert done.outcome is Outcome.SUCCEEDED, done.reason
        assert [event.data["alertId"] for event in await events_of(front, None, "system:recovered")] == [
            told.seq
        ]


async def test_who_is_told_that_the_quota_is_gone_may_let_others_try(logged_in: Home, api: FakeApi) -> None:
    async with logged_in.front() as front:
        api.fault = Fault(429, resets_in_s=3600)
        await requeued(front, await handed_over(front, "text first"))
        api.fault = None
        other = await handed_over(front, "text other")
        (told,) = await events_of(front, None, "api:limited")
        assert await answer(front, told.seq, "continue") == "queued Claude Code starts again"
        assert (await ended(front, other, LIMIT_S)).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("at", ["exit-seen:1", "requeued:1"])
async def test_wherever_its_supervisor_dies_a_task_is_queued_again_once(
    resuming: Home, api: FakeApi, at: str
) -> None:
    with staged(resuming, at) as supervisor:
        async with resuming.front(keep=True) as front:
            api.fault = Fault(529)
            task = await handed_over(front, "text the work is done")
            supervisor.start()
            await supervisor.killed()
            await requeued(front, task)
            assert len(await events_of(front, task, "task:requeued")) == 1
            api.fault = None
            await hurried(front, task)
            done = await ended(front, task, LIMIT_S)
            assert (done.outcome, done.run) == (Outcome.SUCCEEDED, 2)


async def test_a_task_that_waits_to_go_on_is_cancelled_like_any_other(resuming: Home, api: FakeApi) -> None:
    async with resuming.front() as front:
        api.fault = Fault(529)
        task = await handed_over(front, "text never")
        await requeued(front, task)
        done, _ = await front.cancel(task.id)
        assert done.outcome is Outcome.CANCELLED
        assert (await in_state(front, task, State.ENDED)).run == 1
