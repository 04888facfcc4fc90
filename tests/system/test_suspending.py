"""Suspending and resuming whole trees of real processes."""

from __future__ import annotations

import os
import signal
import sys

import anyio
import pytest
from support import Home, alive, ended, events_of, in_state, wait_for
from trees import NOTE, TREES, WORK, cpu_ticks, marked, stopped, switches, tree

from claudine_mcp.core.errors import NotNow
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.controls import resume, suspend
from claudine_mcp.front.details import task_view
from claudine_mcp.front.submit import CommandRequest

LONG_S = 1.5
"""Far more than processes that work all the time need to show it."""


@pytest.mark.parametrize("kind", TREES)
async def test_no_process_of_a_suspended_tree_makes_progress_and_all_go_on(home: Home, kind: str) -> None:
    async with home.front() as front:
        task, pids = await tree(home, front, *TREES[kind])
        done, result = await suspend(front, task.id, "not now")
        assert (done.state, result["processes"]) == (State.SUSPENDED, len(pids))
        assert all(stopped(pids))
        assert done.stopped is not None
        assert (done.stopped["by"], done.stopped["why"]) == ("user", "not now")
        before = cpu_ticks(pids), switches(pids)
        await anyio.sleep(LONG_S)
        assert (cpu_ticks(pids), switches(pids)) == before
        (told,) = await events_of(front, task, "task:suspended")
        assert told.data == {"taskId": task.id, "by": "user", "why": "not now", "processes": len(pids)}
        going, result = await resume(front, task.id)
        assert (going.state, going.stopped, result["processes"]) == (State.RUNNING, None, len(pids))
        assert not any(stopped(pids))
        assert going.suspended_s >= LONG_S
        await wait_for(
            lambda: all(now > then for now, then in zip(switches(pids), before[1], strict=True)),
            what="all go on",
        )
        (home.work / "done").touch()
        over = await ended(front, task)
        assert (over.outcome, home.output(task)) == (Outcome.SUCCEEDED, "right\n")
        assert over.ran_s(0) == pytest.approx(
            (over.ended_at or 0) - (over.started_at or 0) - going.suspended_s
        )


async def test_a_tree_that_forks_while_it_is_stopped_is_stopped_as_a_whole(home: Home) -> None:
    script = "echo $$ >> pids; until [ -e done ]; do sleep 0.01 & sleep 0.01; done; wait; echo right"
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(["sh", "-c", script]))
        await wait_for(lambda: home.lines("pids"))
        await in_state(front, task, State.RUNNING)
        for _ in range(5):
            await suspend(front, task.id)
            pids = marked(f"{task.id}.1")
            before = cpu_ticks(pids)
            assert all(stopped(pids)), pids
            await anyio.sleep(0.1)
            assert marked(f"{task.id}.1") == pids
            assert cpu_ticks(pids) == before
            await resume(front, task.id)
        (home.work / "done").touch()
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
        assert home.output(task) == "right\n"


async def test_the_keeper_is_never_stopped(home: Home) -> None:
    async with home.front() as front:
        task, _ = await tree(home, front, *TREES["children"])
        await suspend(front, task.id)
        assert stopped([home.keeper_pid(task)]) == [False]
        await front.cancel(task.id)


async def test_a_shell_that_controls_jobs_does_not_take_its_child_for_put_aside(home: Home) -> None:
    script = (
        "set -m; sh -c 'echo up >> began; until [ -e done ]; do sleep 0.01; done; exit 3'; echo status $?"
    )
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(["bash", "-c", script]))
        await wait_for(lambda: home.lines("began"))
        await in_state(front, task, State.RUNNING)
        for _ in range(3):
            await suspend(front, task.id)
            await resume(front, task.id)
        (home.work / "done").touch()
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED
        assert home.output(task) == "status 3\n"


async def test_a_suspended_task_can_be_cancelled_at_once(home: Home) -> None:
    home.configure(limits={"killGrace": "20s"})
    async with home.front() as front:
        task, pids = await tree(home, front, *TREES["children"])
        await suspend(front, task.id)
        done, result = await front.cancel(task.id)
        assert (done.state, done.outcome, done.stopped) == (State.ENDED, Outcome.CANCELLED, None)
        assert result["stopped"]["signals"] == ["SIGTERM"]  # it could heed it
        assert not any(map(alive, pids))


async def test_a_suspended_task_whose_process_is_killed_has_truly_ended(home: Home) -> None:
    async with home.front() as front:
        task, (pid,) = await tree(home, front, *TREES["one"])
        await suspend(front, task.id)
        await anyio.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        done = await ended(front, task)
        assert (done.outcome, done.signal, done.stopped) == (Outcome.FAILED, signal.SIGKILL, None)
        assert done.suspended_s >= 0.5


async def test_a_restarted_supervisor_leaves_a_suspended_task_suspended(home: Home) -> None:
    async with home.front(keep=True) as front:
        task, pids = await tree(home, front, *TREES["a daemonised grandchild"])
        before, _ = await suspend(front, task.id)
        epoch = home.epoch()
        await home.kill_supervisor()
        await wait_for(lambda: home.epoch() > epoch)
        ticks = switches(pids)
        await anyio.sleep(LONG_S)
        assert await front.task(task.id) == before
        assert switches(pids) == ticks
        going, _ = await resume(front, task.id)
        assert going.suspended_s >= LONG_S
        (home.work / "done").touch()
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED


async def test_what_someone_else_continued_is_running_and_that_is_told_once(home: Home) -> None:
    async with home.front() as front:
        task, pids = await tree(home, front, *TREES["children"])
        await suspend(front, task.id)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        going = await in_state(front, task, State.RUNNING)
        assert going.stopped is None
        (told,) = await events_of(front, task, "task:resumed")
        assert told.data["by"] == "other"
        assert "was resumed by someone else (SIGCONT) after" in told.message
        (home.work / "done").touch()
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED


async def test_what_was_continued_only_in_part_is_stopped_again(home: Home) -> None:
    async with home.front() as front:
        task, pids = await tree(home, front, *TREES["children"])
        await suspend(front, task.id)
        os.kill(pids[-1], signal.SIGCONT)
        assert not all(stopped(pids))
        await wait_for(lambda: all(stopped(pids)), what="all are stopped again")
        assert (await front.task(task.id)).state is State.SUSPENDED
        assert await events_of(front, task, "task:resumed") == []
        await front.cancel(task.id)


async def test_what_comes_into_a_suspended_tree_is_stopped_too(home: Home) -> None:
    # It gives birth as soon as it is continued, and stops itself again at once.
    birth = "import os, signal\nsignal.signal(signal.SIGCONT, lambda *_: born())\n"
    child = (
        "def born():\n"
        "    if os.fork() == 0:\n"
        "        signal.signal(signal.SIGCONT, signal.SIG_DFL)\n"
        f"        {NOTE.splitlines()[1]}\n"
        f"        {WORK}"
        "        os._exit(0)\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    async with home.front() as front:
        task, (pid,) = await tree(home, front, birth + child + NOTE + WORK, 1)
        await suspend(front, task.id)
        os.kill(pid, signal.SIGCONT)
        await wait_for(lambda: len(home.lines("pids")) == 2, what="a child")
        pids = [int(line) for line in home.lines("pids")]
        await wait_for(lambda: all(stopped(pids)), what="the child is stopped")
        assert (await front.task(task.id)).state is State.SUSPENDED
        await front.cancel(task.id)


async def test_a_task_that_someone_else_stopped_can_be_resumed(home: Home) -> None:
    async with home.front() as front:
        task, pids = await tree(home, front, *TREES["children"])
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        await wait_for(lambda: all(stopped(pids)))
        going, result = await resume(front, task.id)
        assert (going.state, result["processes"]) == (State.RUNNING, len(pids))
        assert not any(stopped(pids))
        (home.work / "done").touch()
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED


async def test_controls_that_make_no_sense_say_so_and_change_nothing(home: Home) -> None:
    async with home.front() as front:
        queued = await front.submit_command(CommandRequest("true", not_before="2999-01-01T00:00:00Z"))
        over = await ended(front, await front.submit_command(CommandRequest("true")))
        task, _ = await tree(home, front, *TREES["one"])
        events = len(await events_of(front))
        with pytest.raises(NotNow, match=r"is queued; only a running task can be suspended: UpdateTask with"):
            await suspend(front, queued.id)
        with pytest.raises(NotNow, match=r"is queued; only a suspended task can be resumed: it starts by"):
            await resume(front, queued.id)
        with pytest.raises(NotNow, match=r"is ended; only a running task .* \(succeeded: "):
            await suspend(front, over.id)
        with pytest.raises(NotNow, match=r"is ended; only a suspended task can be resumed: RetryTask"):
            await resume(front, over.id)
        with pytest.raises(NotNow, match=r"is running; .*: none of its processes is stopped"):
            await resume(front, task.id)
        assert len(await events_of(front)) == events
        first, _ = await suspend(front, task.id, "once")
        with pytest.raises(NotNow, match=r"is suspended; .*: ResumeTask lets it go on"):
            await suspend(front, task.id, "twice")
        assert await front.task(task.id) == first
        await front.cancel(task.id)
        await front.cancel(queued.id)


async def test_what_is_just_starting_is_suspended_as_soon_as_it_runs(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest([sys.executable, "-c", NOTE + WORK]))
        await wait_for(lambda: home.query("SELECT 1 FROM tasks WHERE run = 1"))
        done, _ = await suspend(front, task.id)
        assert done.state is State.SUSPENDED
        await front.cancel(task.id)


async def test_a_user_makes_a_suspension_of_the_policy_theirs(home: Home) -> None:
    async with home.front() as front:
        user = dict(front.origin)
        task, _ = await tree(home, front, *TREES["one"])
        front.origin = {"by": "protective mode", "policy": True}
        done, _ = await suspend(front, task.id, "the machine is short of memory")
        assert done.stopped is not None
        assert done.stopped["by"] == "policy"
        (told,) = await events_of(front, task, "task:suspended")
        assert (told.severity, told.suggestions[0]["action"]) == ("warning", "resume")
        front.origin = user
        mine, result = await suspend(front, task.id)
        assert result["changed"] is False
        assert mine.stopped == {**done.stopped, "by": "user"}
        assert (await task_view(front, task.id)).open_alerts is None
        front.origin = {"by": "protective mode", "policy": True}
        with pytest.raises(NotNow, match="was suspended by the user, who alone resumes it"):
            await resume(front, task.id)
        front.origin = user
        assert (await resume(front, task.id))[0].state is State.RUNNING
        await front.cancel(task.id)
