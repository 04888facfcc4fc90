"""Hibernating and resuming: the memory goes, the task stays, and nonsense changes nothing."""

from __future__ import annotations

import re

import anyio
import pytest
from staging import staged
from support import Home, alive, ended, events_of, in_state, kill, processes_of, wait_for

from claudine_mcp.core.errors import InvalidInput, NotNow
from claudine_mcp.core.models import JSON, CommandKind, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.host.processes import boot_id

GATED = "echo $$ >> begun; until test -e open; do sleep 0.02; done; echo done"
"""Runs until the test makes the file ``open``."""

WITH_OFFSPRING = "(trap '' TERM; setsid sleep 300) & " + GATED


def restartable(command: str = GATED) -> CommandRequest:
    return CommandRequest(command, restartable=True)


async def hibernated(front: Front, task: Task, reason: str | None = None) -> JSON:
    """Put a task to rest; give what was answered."""
    return await front.command(CommandKind.HIBERNATE, task.id, {} if reason is None else {"reason": reason})


async def resumed(front: Front, task: Task, **args: str) -> JSON:
    return await front.command(CommandKind.RESUME, task.id, args)


async def begun(home: Home, front: Front, task: Task, times: int = 1) -> None:
    """Wait until a run of a task has said so in its output."""
    await wait_for(lambda: len(home.lines("begun")) >= times, what="it has begun")
    await in_state(front, task, State.RUNNING)


async def test_a_restartable_command_is_put_to_rest_with_all_its_processes_and_begins_again(
    home: Home,
) -> None:
    async with home.front() as front:
        task = await front.submit_command(restartable(WITH_OFFSPRING))
        await begun(home, front, task)
        answer = await hibernated(front, task, "room is needed")
        resting = await front.task(task.id)
        assert (resting.state, resting.outcome) == (State.HIBERNATED, None)
        assert answer["changed"] is True
        assert answer["freedBytes"] > 0
        assert answer["stopped"]["processes"] >= 2
        assert not alive(home.main_pid(task))
        stopped = resting.stopped
        assert stopped is not None
        assert (stopped["by"], stopped["why"]) == ("user", "room is needed")
        reason = "hibernated by the user: room is needed"
        assert home.query("SELECT outcome, reason, gone_at IS NULL FROM runs") == [(None, reason, 0)]
        (told,) = await events_of(front, task, "task:hibernated")
        assert told.data["freedBytes"] == answer["freedBytes"]

        assert (await resumed(front, task))["state"] == "queued"
        await begun(home, front, task, 2)
        (home.work / "open").touch()
        done = await ended(front, task)
        assert (done.outcome, done.run, done.stopped) == (Outcome.SUCCEEDED, 2, None)
        assert home.output(task, n=2) == "done\n"


async def test_what_waits_for_a_hibernated_task_goes_on_waiting(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(restartable())
        after = await front.submit_command(CommandRequest("echo after", depends_on=[task.id]))
        await begun(home, front, task)
        await hibernated(front, task)
        assert (await front.task(after.id)).state is State.QUEUED
        (home.work / "open").touch()
        await resumed(front, task)
        assert (await ended(front, after)).outcome is Outcome.SUCCEEDED


async def test_a_hibernated_task_needs_no_supervisor_and_is_there_for_the_next(home: Home) -> None:
    home.configure(supervisor={"idleExit": "100ms"})
    async with home.front() as front:
        task = await front.submit_command(restartable())
        await begun(home, front, task)
        await hibernated(front, task)
        await wait_for(lambda: not processes_of(home.folder), what="nothing is left running")
        (home.work / "open").touch()
        await resumed(front, task)
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED


async def test_a_hibernated_task_is_cancelled_and_stays_when_it_is_to_be_removed(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(restartable())
        await begun(home, front, task)
        await hibernated(front, task)
        kept = (await front.command(CommandKind.REMOVE, None, {"taskIds": [task.id]}))["kept"]
        assert kept == {task.id: "it is hibernated"}
        done, answer = await front.cancel(task.id, "not any more")
        assert (done.outcome, answer["changed"]) == (Outcome.CANCELLED, True)


async def test_controls_that_make_no_sense_say_so_and_change_nothing(home: Home) -> None:
    async with home.front() as front:
        running = await front.submit_command(CommandRequest(GATED))
        queued = await front.submit_command(CommandRequest("true", depends_on=[running.id], restartable=True))
        over = await front.submit_command(CommandRequest("true", restartable=True))
        resting = await front.submit_command(restartable())
        await ended(front, over)
        await begun(home, front, running, 2)
        await in_state(front, resting, State.RUNNING)
        await hibernated(front, resting)
        before = home.query("SELECT * FROM tasks ORDER BY seq")
        for task, why in (
            (queued, f"task {queued.id} is queued, and cannot be hibernated: it has no processes yet"),
            (over, "ended, and cannot be hibernated: succeeded: exit code 0. RetryTask runs it again"),
            (resting, "is hibernated, and cannot be hibernated: ResumeTask lets it go on"),
            (running, "is a command that was not declared restartable: it would have to begin again"),
        ):
            with pytest.raises(NotNow, match=re.escape(why)):
                await hibernated(front, task)
        for task in (queued, over, running):
            with pytest.raises(NotNow):
                await resumed(front, task)
        with pytest.raises((NotNow, InvalidInput), match=f"prompt: task {resting.id} is a command"):
            await resumed(front, resting, prompt="go on")
        assert home.query("SELECT * FROM tasks ORDER BY seq") == before
        await front.cancel(running.id)


async def test_what_had_ended_before_it_was_to_be_put_to_rest_has_its_own_outcome(home: Home) -> None:
    with staged(home, PAUSE_AT="hibernate-committed:1", PAUSE_UNTIL=str(home.work / "go")) as supervisor:
        async with home.front() as front, anyio.create_task_group() as group:
            task = await front.submit_command(
                CommandRequest("echo 1 >> begun; until test -e open; do sleep 0.02; done", restartable=True)
            )
            supervisor.start()
            await begun(home, front, task)
            refused: list[str] = []

            async def hibernate() -> None:
                try:
                    await hibernated(front, task)
                except NotNow as error:
                    refused.append(str(error))

            group.start_soon(hibernate)
            await wait_for(lambda: "hibernate-committed:1" in supervisor.points, what="the pause")
            (home.work / "open").touch()
            home.record(task, "exit")
            (home.work / "go").touch()
            done = await in_state(front, task, State.ENDED, State.HIBERNATED)
            # It exited after the decision, and nothing of ours had reached it: what it says is true.
            assert (done.state, done.outcome) == (State.ENDED, Outcome.SUCCEEDED)
            await wait_for(lambda: refused, what="an answer")
            assert "succeeded" in refused[0]


HIBERNATE = [
    "commit<:5",  # the command taken
    "commit>:5",
    "hibernate-taken:1",
    "hibernate-saved:1",
    "commit<:6",  # hibernating
    "commit>:6",
    "hibernate-committed:1",
    "signal<:1",
    "signal>:1",
    "signal>:3",
    "signalled:1",
    "signalled:2",
    "commit<:7",  # hibernated, and the command answered
    "commit>:7",
    "hibernated:1",
]


@pytest.mark.parametrize("at", HIBERNATE)
async def test_a_hibernation_that_was_begun_is_finished_by_the_next_supervisor(home: Home, at: str) -> None:
    home.configure(limits={"killGrace": "100ms"})
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            task = await front.submit_command(restartable(WITH_OFFSPRING))
            supervisor.start()
            await begun(home, front, task)
            answer = await hibernated(front, task)
            await supervisor.killed()
            resting = await front.task(task.id)
            assert (resting.state, answer["changed"]) == (State.HIBERNATED, True)
            assert not alive(home.main_pid(task))
            assert len(await events_of(front, task, "task:hibernated")) == 1
            assert not home.query("SELECT 1 FROM commands WHERE done_at IS NULL")
            (home.work / "open").touch()
            await resumed(front, task)
            assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
            assert len(home.lines("begun")) == 2


@pytest.mark.parametrize("at", ["commit<:3", "commit>:3", "resume-committed:1", "commit<:4", "go>:1"])
async def test_a_resumption_that_was_begun_is_finished_by_the_next_supervisor(home: Home, at: str) -> None:
    async with home.front() as front:
        task = await front.submit_command(restartable())
        await begun(home, front, task)
        await hibernated(front, task)
        await home.kill_supervisor()
    (home.work / "open").touch()
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front, anyio.create_task_group() as group:
            group.start_soon(resumed, front, task)
            await wait_for(lambda: home.query("SELECT 1 FROM commands WHERE kind = 'resume'"))
            supervisor.start()
            await supervisor.killed()
            assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
            assert len(home.lines("begun")) == 2


async def test_a_machine_that_goes_down_in_the_middle_leaves_a_hibernated_task(home: Home) -> None:
    with staged(home, "hibernate-committed:1") as supervisor:
        async with home.front() as front:
            task = await front.submit_command(restartable())
            supervisor.start()
            await begun(home, front, task)
            await front.issue(CommandKind.HIBERNATE, task.id, {})
            await supervisor.killed()
    for pid in (home.keeper_pid(task), home.main_pid(task)):
        kill(pid)
        await wait_for(lambda pid=pid: not alive(pid))
    path = home.run_path(task) / "start"
    path.write_text(path.read_text().replace(boot_id(), "11111111-2222-3333-4444-555555555555"))
    async with home.front(keep=True) as front:
        resting = await in_state(front, task, State.HIBERNATED, State.ENDED)
        assert (resting.state, resting.outcome) == (State.HIBERNATED, None)
        (home.work / "open").touch()
        await resumed(front, task)
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED


async def test_a_cancel_overtakes_a_hibernation(home: Home) -> None:
    home.configure(limits={"killGrace": "2s"})
    async with home.front() as front, anyio.create_task_group() as group:
        task = await front.submit_command(
            restartable("trap '' TERM INT; echo $$ >> begun; while :; do sleep 0.05; done")
        )
        await begun(home, front, task)
        refused: list[str] = []

        async def hibernate() -> None:
            try:
                await hibernated(front, task)
            except NotNow as error:
                refused.append(str(error))

        group.start_soon(hibernate)
        await in_state(front, task, State.HIBERNATING)
        done, _ = await front.cancel(task.id)
        assert (done.state, done.outcome) == (State.ENDED, Outcome.CANCELLED)
        await wait_for(lambda: refused, what="an answer")
