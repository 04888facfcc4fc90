"""A delegated run that may ask: its question reaches a person whatever dies meanwhile, and is over when it is over."""

from __future__ import annotations

import os
import signal

import anyio
import pytest
from delegating import LIMIT_S, answer, asked, handed_over, run, say, set_up
from fake_api import FakeApi
from servers import Doomed
from support import Home, ended, events_of, kill, processes_of, wait_for

from claudine_mcp.core.errors import NotNow
from claudine_mcp.core.models import Event, Task
from claudine_mcp.core.states import Outcome
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.views import QuestionView

pytestmark = pytest.mark.claude

ASKS = {"ask_permission": True}
MAKES = "bash touch made | text done"


async def ends_of(front: Front, task: Task) -> list[Event]:
    """Give the events that say that a question of a task is over."""
    return await events_of(front, task, "task:recovered")


async def over(front: Front, task: Task, question: QuestionView) -> Event:
    """Wait until a question is over; give the event that says so."""

    async def said() -> Event | None:
        found = [event for event in await ends_of(front, task) if event.data["alertId"] == question.alert_id]
        return found[0] if found else None

    event = await wait_for(said, LIMIT_S, what=f"question {question.alert_id} is over")
    assert event is not None
    return event


def relay_pid(home: Home) -> int:
    """Give the pid of the process that a run asks for permissions."""
    (pid,) = [pid for pid, line in processes_of(home.folder).items() if line.endswith("claudine_mcp ask")]
    return pid


async def test_what_is_asked_for_and_allowed_is_done(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, MAKES, **ASKS)
        question = await asked(front, task)
        assert (question.tool, question.input["command"]) == ("Bash", "touch made")
        (event,) = await events_of(front, task, "task:needs-permission")
        assert (event.seq, event.data["tool"]) == (question.alert_id, "Bash")
        assert "asks to use Bash" in event.message
        assert [item["action"] for item in event.suggestions] == ["allow", "deny"]
        assert not (claude_home.work / "made").exists()
        assert (await answer(front, question, "allow"))["taskId"] == task.id
        done = await ended(front, task, LIMIT_S)
        assert (done.outcome, done.reason) == (Outcome.SUCCEEDED, "exit code 0 and a result without error")
        assert (claude_home.work / "made").exists()
        (event,) = await ends_of(front, task)
        assert event.message == f"the question of task {task.id} was answered: allow by a test"


async def test_what_is_denied_is_not_done_and_the_reason_is_heard(claude_home: Home, api: FakeApi) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, MAKES, **ASKS)
        await answer(front, await asked(front, task), "deny", message="use the other folder")
        done = await ended(front, task, LIMIT_S)
        view = await task_view(front, task.id)
        assert done.outcome is Outcome.SUCCEEDED
        assert (done.reason or "").endswith("; 1 tool call was not permitted")
        assert [denial["tool"] for denial in view.permission_denials or []] == ["Bash"]
        assert not (claude_home.work / "made").exists()
        assert api.told("use the other folder")


async def test_what_nobody_answers_is_denied_and_says_so(claude_home: Home, api: FakeApi) -> None:
    set_up(claude_home, askTimeout=1500)
    async with claude_home.front() as front:
        task, view = await run(front, MAKES, **ASKS)
        assert task.outcome is Outcome.SUCCEEDED
        assert (task.reason or "").endswith("; 1 tool call was not permitted")
        assert view.question is None
        assert not (claude_home.work / "made").exists()
        assert api.told("nobody answered within 1.5 s (claude.askTimeout), so it was denied")
        (event,) = await ends_of(front, task)
        assert "is over: nobody answered within 1.5 s" in event.message


async def test_questions_that_are_asked_at_once_are_answered_one_by_one(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, "bash touch one | also bash touch two | text done", **ASKS)
        first = await asked(front, task)
        await answer(front, first, "allow")
        second = await asked(front, task, after=first.alert_id)
        await answer(front, second, "deny")
        done = await ended(front, task, LIMIT_S)
        assert done.outcome is Outcome.SUCCEEDED
        commands = {question.input["command"]: question for question in (first, second)}
        assert set(commands) == {"touch one", "touch two"}
        assert [path.name for path in claude_home.work.iterdir()] == [first.input["command"].split()[1]]


# -- an answer that comes to nothing ------------------------------------------------------------------------


async def test_an_answer_that_comes_to_nothing_says_why(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, f"{MAKES.partition(' | ')[0]} | bash touch other | text done", **ASKS)
        first = await asked(front, task)
        with pytest.raises(
            NotNow, match=r"action: 'extend' is not offered by alert \d+\. Give allow or deny"
        ):
            await answer(front, first, "extend")
        assert (await task_view(front, task.id)).question == first
        await answer(front, first, "allow")
        second = await asked(front, task, after=first.alert_id)
        with pytest.raises(NotNow) as refused:
            await answer(front, first, "deny")
        assert f": the question of task {task.id} was answered: allow by a test, " in str(refused.value)
        assert f"(these wait: {second.alert_id})" in str(refused.value)
        (queued,) = await events_of(front, task, "task:queued")
        for alert_id, why in (
            (queued.seq, "it is task:queued, which asks nothing"),
            (10**6, "there is no such alert"),
            (10**30, "there is no such alert"),
            (-1, "there is no such alert"),
        ):
            with pytest.raises(NotNow, match=why):
                await answer(front, second.model_copy(update={"alert_id": alert_id}), "allow")
        await front.cancel(task.id)
        with pytest.raises(NotNow, match=r"is over: its run (is being|has) ended.* \(these wait: none\)"):
            await answer(front, second, "allow")
        assert not (claude_home.work / "other").exists()


async def test_of_two_answers_at_once_the_first_counts(claude_home: Home) -> None:
    async with claude_home.front() as front, claude_home.front("another") as other:
        task = await handed_over(front, MAKES, **ASKS)
        question = await asked(front, task)
        await claude_home.kill_supervisor()  # so that both are there when the next one comes
        said: list[str] = []

        async def try_to(who: Front, action: str) -> None:
            try:
                await answer(who, question, action)
                said.append("done")
            except NotNow as error:
                said.append(str(error))

        async with anyio.create_task_group() as group:
            group.start_soon(try_to, front, "allow")
            group.start_soon(try_to, other, "deny")
        assert said.count("done") == 1
        (late,) = [text for text in said if text != "done"]
        assert "was answered: " in late
        assert (await ended(front, task, LIMIT_S)).outcome is Outcome.SUCCEEDED


# -- what dies meanwhile ------------------------------------------------------------------------------------


async def test_a_question_outlives_the_supervisor_that_raised_it(claude_home: Home) -> None:
    async with claude_home.front(keep=True) as front:
        task = await handed_over(front, MAKES, **ASKS)
        question = await asked(front, task)
        await claude_home.kill_supervisor()
        await answer(front, question, "allow")
        done = await ended(front, task, LIMIT_S)
        assert done.outcome is Outcome.SUCCEEDED
        assert (claude_home.work / "made").exists()
        assert len(await events_of(front, task, "task:needs-permission")) == 1


async def test_a_question_outlives_the_server_that_was_about_to_answer_it(claude_home: Home) -> None:
    server = Doomed(claude_home)
    server.call("DelegateTask", prompt=f"FAKE: {MAKES}", askPermission=True, wait=True)
    async with claude_home.front() as front:
        await wait_for(lambda: claude_home.query("SELECT id FROM tasks"), LIMIT_S, what="the task")
        task = await front.task(claude_home.query("SELECT id FROM tasks")[0][0])
        question = await asked(front, task)
        server.kill()
        assert (await task_view(front, task.id)).question == question
        await answer(front, question, "allow")
        done = await ended(front, task, LIMIT_S)
        assert done.outcome is Outcome.SUCCEEDED
        assert (claude_home.work / "made").exists()


async def test_a_question_whose_relay_died_is_over_and_the_run_asks_again(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, "bash touch one | bash touch two | text done", **ASKS)
        first = await asked(front, task)
        kill(relay_pid(claude_home))
        assert "is over: the run does not wait" in (await over(front, task, first)).message
        second = await asked(front, task, after=first.alert_id)
        assert second.input["command"] == "touch two"
        await answer(front, second, "allow")
        done = await ended(front, task, LIMIT_S)
        assert done.outcome is Outcome.SUCCEEDED
        assert [path.name for path in claude_home.work.iterdir()] == ["two"]


async def test_a_question_of_a_turn_that_is_interrupted_is_over(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, MAKES, **ASKS)
        first = await asked(front, task)
        assert (await say(front, task, "FAKE: bash touch other | text stopped", interrupt=True))["delivered"]
        assert "is over: the run does not wait" in (await over(front, task, first)).message
        second = await asked(front, task, after=first.alert_id)
        assert second.input["command"] == "touch other"
        await answer(front, second, "allow")
        done = await ended(front, task, LIMIT_S)
        assert (done.outcome, (await task_view(front, task.id)).result) == (Outcome.SUCCEEDED, "stopped")
        assert [path.name for path in claude_home.work.iterdir()] == ["other"]


@pytest.mark.parametrize("how", ["killed", "cancelled"])
async def test_a_question_is_over_when_its_run_is(claude_home: Home, how: str) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, MAKES, **ASKS)
        question = await asked(front, task)
        if how == "killed":
            os.kill(claude_home.main_pid(task), signal.SIGKILL)
            await ended(front, task, LIMIT_S)
        else:
            await front.cancel(task.id)
        event = await over(front, task, question)
        assert "is over: " in event.message
        assert (await task_view(front, task.id)).question is None
        assert not (claude_home.work / "made").exists()


async def test_a_run_that_may_not_ask_asks_nobody(claude_home: Home) -> None:
    async with claude_home.front() as front:
        task = await handed_over(front, MAKES)
        done = await ended(front, task, LIMIT_S)
        assert done.outcome is Outcome.SUCCEEDED
        assert not await events_of(front, task, "task:needs-permission")
        assert not (claude_home.work / "made").exists()


async def test_a_run_that_may_ask_does_not_ask_for_what_it_is_allowed_or_forbidden(claude_home: Home) -> None:
    async with claude_home.front() as front:
        allowed = {"allowed_tools": ["Bash(touch made)"], "disallowed_tools": ["Bash(touch other)"]}
        script = "bash touch made | bash touch other | text done"
        task, _ = await run(front, script, **ASKS, **allowed)
        assert task.outcome is Outcome.SUCCEEDED
        assert not await events_of(front, task, "task:needs-permission")
        assert [path.name for path in claude_home.work.iterdir()] == ["made"]
