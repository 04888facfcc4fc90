"""The keeper killed: while its task runs, and between every two of its steps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from staging import staged
from support import Home, alive, ended, events_of, in_state, kill, wait_for

from claudine_mcp.core.states import Outcome, State
from claudine_mcp.executors.local import KEEPER_SOURCE
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.host.exitstatus import wait_status

CRASHING_KEEPER = Path(__file__).parent.parent / "crashing_keeper.py"
WAITS = "mkfifo fifo; echo one; echo $$ >> begun; read line < fifo; echo two; "


def kernel_tells() -> bool:
    """Whether a pidfd still knows the exit status of a process that was reaped (Linux 6.15)."""
    if not hasattr(os, "pidfd_open"):
        return False
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pidfd = os.pidfd_open(process.pid)
        process.wait()
        try:
            return wait_status(pidfd) is not None
        finally:
            os.close(pidfd)


async def running(home: Home, front: Front, script: str) -> str:
    """Submit a script that waits on a FIFO; give its task's id once it does."""
    task = await front.submit_command(CommandRequest(WAITS + script))
    await wait_for(lambda: home.lines("begun"))
    await in_state(front, task, State.RUNNING)
    return task.id


async def without_keeper(home: Home, front: Front, task_id: str) -> None:
    """Kill the keeper; wait until the task is shown to be without one."""
    kill(home.keeper_pid(task_id))

    async def unsupervised() -> bool:
        return not (await front.task(task_id)).supervised

    await wait_for(unsupervised)


@pytest.mark.parametrize(
    ("script", "outcome", "code", "number"),
    [
        ("exit 0", Outcome.SUCCEEDED, 0, None),
        ("exit 7", Outcome.FAILED, 7, None),
        ("kill -9 $$", Outcome.FAILED, None, 9),
    ],
)
async def test_the_supervisor_inherits_the_task_of_a_dead_keeper_and_learns_how_it_ended(
    home: Home, script: str, outcome: Outcome, code: int | None, number: int | None
) -> None:
    async with home.front() as front:
        task_id = await running(home, front, script)
        await without_keeper(home, front, task_id)
        task = await front.task(task_id)
        assert task.state is State.RUNNING
        assert alive(home.main_pid(task_id))
        (event,) = await events_of(front, task_id, "supervisor:adopted")
        assert "runs on" in event.message
        (home.work / "fifo").write_text("\n")
        done = await ended(front, task_id)
    assert (done.outcome, done.exit_code, done.signal) == (outcome, code, number)
    assert home.output(task_id) == "one\ntwo\n"
    assert home.record(task_id, "exit")["source"] == "waitpid"
    assert len(home.lines("begun")) == 1


async def test_the_kernel_tells_how_a_task_ended_that_nobody_inherited(home: Home) -> None:
    if not kernel_tells():
        pytest.skip("this kernel does not keep the exit status for pidfds (Linux 6.15 does)")
    async with home.front(keep=True) as front:
        task_id = await running(home, front, "exit 7")
        await home.kill_supervisor()
        await wait_for(lambda: home.epoch() == 2)
        await without_keeper(home, front, task_id)
        (home.work / "fifo").write_text("\n")
        done = await ended(front, task_id)
    assert (done.outcome, done.exit_code) == (Outcome.FAILED, 7)
    assert home.record(task_id, "exit")["source"] == "pidfd"


async def test_an_end_that_nobody_saw_is_never_called_a_success(home: Home) -> None:
    with staged(home, CRASH_BLIND="1") as supervisor:
        async with home.front() as front:
            supervisor.start()
            task_id = await running(home, front, "exit 0")
            await without_keeper(home, front, task_id)
            (home.work / "fifo").write_text("\n")
            done = await ended(front, task_id)
    assert (done.outcome, done.exit_code, done.signal) == (Outcome.INTERRUPTED, None, None)
    assert "nobody saw" in (done.reason or "")
    assert home.output(task_id) == "one\ntwo\n"


async def test_a_task_without_keeper_that_ends_while_there_is_no_supervisor_is_interrupted(
    home: Home,
) -> None:
    async with home.front() as front:
        task_id = await running(home, front, "exit 0")
        await home.kill_supervisor()
        kill(home.keeper_pid(task_id))
        (home.work / "fifo").write_text("\n")
        await wait_for(lambda: not alive(home.main_pid(task_id)))
    async with home.front(keep=True) as front:
        done = await ended(front, task_id)
    # Init may not have reaped it yet; then the next supervisor still learns the truth.
    assert (done.outcome, done.exit_code) in {(Outcome.INTERRUPTED, None), (Outcome.SUCCEEDED, 0)}
    assert (home.record(task_id, "exit")["source"] == "unknown") == (done.outcome is Outcome.INTERRUPTED)


async def test_keeper_and_task_killed_together_are_told_as_a_kill(home: Home) -> None:
    async with home.front() as front:
        task_id = await running(home, front, "exit 0")
        for pid in (home.keeper_pid(task_id), home.main_pid(task_id)):
            kill(pid)
        done = await ended(front, task_id)
    assert (done.outcome, done.signal) == (Outcome.FAILED, signal.SIGKILL)


async def test_a_task_without_keeper_can_be_cancelled_with_all_that_it_started(home: Home) -> None:
    async with home.front() as front:
        task_id = await running(home, front, "exit 0")
        other = await front.submit_command(CommandRequest("(setsid sleep 300 & echo $!); sleep 300"))
        await in_state(front, other, State.RUNNING)
        child = int(await wait_for(lambda: home.output(other).strip()))
        for wanted in (task_id, other.id):
            await without_keeper(home, front, wanted)
            done, result = await front.cancel(wanted)
            assert done.outcome is Outcome.CANCELLED
            assert result["stopped"]["processes"] >= 1
            assert not alive(home.main_pid(wanted))
        assert not alive(child)


def plan(home: Home, call: str, side: str, number: int) -> None:
    home.state_dir.mkdir(exist_ok=True)
    what = {"keeper": str(KEEPER_SOURCE), "call": call, "side": side, "number": number}
    (home.state_dir / "keeper-crash").write_text(json.dumps(what))


@pytest.mark.parametrize(
    "at",
    [
        "flock<1",  # just started
        "flock>1",
        "posix_fallocate>3",  # space reserved
        "fork>1",
        "read<1",  # the child is getting ready
        "rename<1",
        "rename>1",  # `start` is there
        "read<2",  # waits for "go"
        "read>2",  # has been told to go
        "rename<2",  # `began` is written, and not in its place
    ],
)
async def test_a_keeper_that_dies_before_the_run_began_leaves_nothing_running(home: Home, at: str) -> None:
    plan(home, at[:-2], at[-2], int(at[-1]))
    with staged(home, CRASH_KEEPER=str(CRASHING_KEEPER)) as supervisor:
        async with home.front() as front:
            task = await front.submit_command(CommandRequest("echo $$ >> begun; exit 7"))
            supervisor.start()
            done = await ended(front, task)
            assert (home.state_dir / "keeper-crash.done").exists()
            assert (done.outcome, done.exit_code, done.run) == (Outcome.FAILED, 7, 2)
            assert len(await events_of(front, task, "task:requeued")) == 1
    assert len(home.lines("begun")) == 1
    assert not (home.run_path(task) / "began").exists()


@pytest.mark.parametrize("at", ["rename>2", "write<1"])
async def test_a_keeper_that_dies_between_began_and_go_never_makes_it_a_success(home: Home, at: str) -> None:
    plan(home, at[:-2], at[-2], int(at[-1]))
    with staged(home, CRASH_KEEPER=str(CRASHING_KEEPER)) as supervisor:
        async with home.front() as front:
            task = await front.submit_command(CommandRequest("echo $$ >> begun"))
            supervisor.start()
            done = await ended(front, task)
            assert (home.state_dir / "keeper-crash.done").exists()
    # With `began` on disk nobody can know, so it is not started a second time.
    assert home.lines("begun") == []
    assert done.run == 1
    assert done.outcome in {Outcome.FAILED, Outcome.INTERRUPTED}


@pytest.mark.parametrize(
    "at", ["write>1", "wait4<1", "wait4>1", "pwrite>3", "rename<3", "rename>3", "rename>4"]
)
async def test_a_keeper_that_dies_after_the_start_loses_no_exit_code(home: Home, at: str) -> None:
    if at in {"wait4>1", "pwrite>3", "rename<3"} and not kernel_tells():
        pytest.skip("this kernel does not keep the exit status for pidfds (Linux 6.15 does)")
    plan(home, at[:-2], at[-2], int(at[-1]))
    with staged(home, CRASH_KEEPER=str(CRASHING_KEEPER)) as supervisor:
        async with home.front() as front:
            task = await front.submit_command(CommandRequest("echo $$ >> begun; echo out; exit 7"))
            supervisor.start()
            done = await ended(front, task)
            await wait_for((home.state_dir / "keeper-crash.done").exists)
    assert (done.outcome, done.exit_code, done.run) == (Outcome.FAILED, 7, 1)
    assert len(home.lines("begun")) == 1
    assert home.output(task) == "out\n"


async def test_a_keeper_that_always_dies_is_given_up_with_its_last_words(home: Home) -> None:
    broken = home.folder / "keeper.py"
    broken.write_text("raise SystemExit('no good')\n")
    with staged(home, CRASH_KEEPER=str(broken)) as supervisor:
        async with home.front() as front:
            task = await front.submit_command(CommandRequest("echo $$ >> begun"))
            supervisor.start()
            done = await ended(front, task)
    assert done.outcome is Outcome.NOT_STARTED
    assert "no good" in (done.reason or "")
    assert home.lines("begun") == []
