"""The supervisor killed between every two of its steps, while a front lives."""

from __future__ import annotations

import anyio
import pytest
from staging import staged
from support import Home, alive, ended, events_of, in_state, wait_for

from claudine_mcp.core.models import CommandKind
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.submit import CommandRequest

START = [
    "commit<:1",  # the epoch
    "commit>:1",
    "commit<:2",  # "supervisor started"
    "commit>:2",
    "commit<:3",
    "commit>:3",
    "admitted:1",
    "spawn<:1",
    "spawn>:1",
    "keeper-spawned:1",
    "commit<:4",
    "commit>:4",
    "running-committed:1",
    "go<:1",
    "go>:1",
    "go-sent:1",
    "exit-seen:1",
    "commit<:5",
    "commit>:5",
    "end-committed:1",
    "commit<:6",  # gone
    "commit>:6",
]
"""Every point that a supervisor passes with one task, in order."""

SAME = {"commit>:3", "keeper-spawned:1", "commit>:4", "go<:1", "go-sent:1", "commit>:5"}
"""Nothing happens between these and one of their neighbours."""


async def test_the_points_of_a_start_are_all_known(home: Home) -> None:
    with staged(home, "commit>:6") as supervisor:
        async with home.front(keep=True) as front:
            task = await front.submit_command(CommandRequest("true"))
            supervisor.start()
            await supervisor.killed()
            await ended(front, task)
    assert supervisor.points == START


@pytest.mark.parametrize("at", [point for point in START if point not in SAME])
async def test_a_task_begins_once_and_is_never_lost_wherever_its_supervisor_dies(home: Home, at: str) -> None:
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            task = await front.submit_command(
                CommandRequest("echo $$ >> begun; echo out; echo err >&2; exit 7")
            )
            supervisor.start()
            await supervisor.killed()
            done = await ended(front, task)
            assert (done.outcome, done.exit_code, done.signal) == (Outcome.FAILED, 7, None)
            assert len(home.lines("begun")) == 1
            assert home.output(task, n=done.run) == "out\n"
            assert home.output(task, "stderr", n=done.run) == "err\n"
            assert len(await events_of(front, task, "task:ended")) == 1
            # A run that was admitted and not told to go is one that never was.
            admitted_in_vain = "commit>:3" in supervisor.points and "go>:1" not in supervisor.points
            assert done.run == (2 if admitted_in_vain else 1)


CANCEL = [
    "commit<:5",  # stopping, and the command taken
    "commit>:5",
    "cancel-committed:1",
    "signal<:1",
    "signal>:1",
    "signal>:3",
    "signalled:1",
    "signalled:2",
    "commit<:6",  # ended, and the command answered
    "commit>:6",
]

STUBBORN = (
    "trap '' TERM INT; echo $$ >> begun; (trap '' TERM; setsid sleep 300) & while :; do sleep 0.05; done"
)


@pytest.mark.parametrize("at", CANCEL)
async def test_a_cancel_that_was_begun_is_finished_by_the_next_supervisor(home: Home, at: str) -> None:
    home.configure(limits={"killGrace": "100ms"})
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            task = await front.submit_command(CommandRequest(STUBBORN))
            supervisor.start()
            await wait_for(lambda: home.lines("begun"))
            await in_state(front, task, State.RUNNING)
            done, result = await front.cancel(task.id, "enough")
            await supervisor.killed()
            assert result["changed"] is True
            assert result["outcome"] == Outcome.CANCELLED
            assert (done.state, done.outcome) == (State.ENDED, Outcome.CANCELLED)
            assert done.reason == "cancelled by a test: enough"
            assert not alive(home.main_pid(task))
            assert len(home.lines("begun")) == 1
            assert len(await events_of(front, task, "task:ended")) == 1
            assert not home.query("SELECT 1 FROM commands WHERE done_at IS NULL")
            again, second = await front.cancel(task.id)
            assert second["changed"] is False
            assert again == done


@pytest.mark.parametrize("at", ["commit<:3", "commit>:3", "cancel-committed:1"])
async def test_cancelling_what_is_queued_never_starts_it_wherever_the_supervisor_dies(
    home: Home, at: str
) -> None:
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front, anyio.create_task_group() as group:
            task = await front.submit_command(CommandRequest("echo $$ >> begun"))
            group.start_soon(front.cancel, task.id)
            await wait_for(lambda: home.query("SELECT 1 FROM commands"))
            supervisor.start()
            await supervisor.killed()
            assert (await ended(front, task)).outcome is Outcome.CANCELLED
    assert home.lines("begun") == []
    assert home.query("SELECT count(*) FROM runs") == [(0,)]


@pytest.mark.parametrize("at", ["commit<:6", "commit>:6", "signal<:1", "signal>:1", "commit<:7", "commit>:7"])
async def test_ending_what_a_task_left_behind_is_finished_by_the_next_supervisor(home: Home, at: str) -> None:
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            task = await front.submit_command(CommandRequest("sleep 300 & echo $!"))
            supervisor.start()
            await ended(front, task)
            left = int(home.output(task))
            assert alive(left)
            done, result = await front.cancel(task.id)
            await supervisor.killed()
            assert result["changed"] is True
            assert done.outcome is Outcome.SUCCEEDED
            assert not alive(left)
            assert (await front.cancel(task.id))[1]["changed"] is False


@pytest.mark.parametrize("at", ["commit<:7", "commit>:7", "commit<:8"])
async def test_a_retry_that_was_asked_for_once_runs_once(home: Home, at: str) -> None:
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            task = await front.submit_command(CommandRequest("echo $$ >> begun; exit 1"))
            supervisor.start()
            await wait_for(lambda: home.query("SELECT 1 FROM runs WHERE gone_at IS NOT NULL"))
            await front.command(CommandKind.RETRY, task.id, {})
            await supervisor.killed()
            await wait_for(lambda: len(home.lines("begun")) == 2)
            done = await ended(front, task)
            assert done.outcome is Outcome.FAILED
            await wait_for(lambda: not home.query("SELECT 1 FROM runs WHERE gone_at IS NULL"))
    assert len(home.lines("begun")) == 2


@pytest.mark.parametrize("at", ["commit<:7", "commit>:7", "files<:1", "files>:1"])
async def test_a_removal_leaves_neither_row_nor_files(home: Home, at: str) -> None:
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            task = await front.submit_command(CommandRequest("true"))
            supervisor.start()
            await wait_for(lambda: home.query("SELECT 1 FROM runs WHERE gone_at IS NOT NULL"))
            result = await front.command(CommandKind.REMOVE, None, {"taskIds": [task.id]})
            await supervisor.killed()
            assert result["removed"] == [task.id]
            assert home.query("SELECT count(*) FROM tasks") == [(0,)]
            # Something to do brings the next supervisor, which sweeps.
            await ended(front, await front.submit_command(CommandRequest("true", name="other")))
            assert task.id not in [path.name for path in (home.state_dir / "tasks").iterdir()]


@pytest.mark.parametrize("at", ["commit<:3", "commit>:3", "commit<:4"])
async def test_what_a_failed_dependency_forbids_is_skipped_once(home: Home, at: str) -> None:
    async with home.front() as front:
        first = await front.submit_command(CommandRequest("false"))
        await ended(front, first)
        await wait_for(lambda: not home.query("SELECT 1 FROM runs WHERE gone_at IS NULL"))
        await home.kill_supervisor()
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            second = await front.submit_command(CommandRequest("echo $$ >> begun", depends_on=[first.id]))
            third = await front.submit_command(CommandRequest("echo $$ >> begun", depends_on=[second.id]))
            supervisor.start()
            await supervisor.killed()
            for task in (second, third):
                assert (await ended(front, task)).outcome is Outcome.SKIPPED
                assert len(await events_of(front, task, "task:ended")) == 1
    assert home.lines("begun") == []
