"""What outlives whom: fronts that leave or are killed, a supervisor that is killed while tasks end, a restart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import Home, alive, ended, events_of, in_state, kill, wait_for, wait_until

from claudine_mcp.core.models import Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.host.processes import boot_id

FRONT = Path(__file__).parent.parent / "front_process.py"
COUNTS = "mkfifo fifo; echo begin; read line < fifo; for i in 1 2 3; do echo line $i; done; exit 3"


@contextmanager
def front_process(home: Home, then: str, *commands: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a front as a process; it is ended afterwards."""
    arguments = json.dumps({"commands": commands, "then": then, **more})
    with subprocess.Popen(
        [sys.executable, str(FRONT), arguments],
        env=home.env,
        cwd=home.work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def submitted(process: subprocess.Popen[str]) -> list[str]:
    """Wait for what a front says that it has submitted."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize("how", ["leaves", "is killed", "is terminated"])
async def test_a_task_outlives_the_front_that_submitted_it(home: Home, how: str) -> None:
    with front_process(home, "leave" if how == "leaves" else "stay", COUNTS) as process:
        (task_id,) = submitted(process)
        wait_until(lambda: home.output(task_id) == "begin\n")
        if how != "leaves":
            process.send_signal(signal.SIGKILL if how == "is killed" else signal.SIGTERM)
        process.wait(20)
    (home.work / "fifo").write_text("\n")
    async with home.front("another") as front:
        done = await ended(front, task_id)
    assert (done.outcome, done.exit_code, done.supervised) == (Outcome.FAILED, 3, True)
    assert home.output(task_id) == "begin\nline 1\nline 2\nline 3\n"


async def test_a_front_that_dies_right_after_its_submission_loses_nothing(home: Home) -> None:
    with front_process(home, "stay", "echo $$ >> begun") as process:
        (task_id,) = submitted(process)
        process.kill()
    async with home.front(keep=True) as front:
        assert (await ended(front, task_id)).outcome is Outcome.SUCCEEDED
    assert len(home.lines("begun")) == 1


async def test_another_front_starts_the_next_supervisor(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(COUNTS))
        await wait_for(lambda: home.output(task) == "begin\n")
        with front_process(home, "stay", lookEvery=0.05):
            await home.kill_supervisor()
            await wait_for(lambda: home.epoch() == 2)
            (home.work / "fifo").write_text("\n")
            done = await ended(front, task)
    assert (done.outcome, done.exit_code, done.run) == (Outcome.FAILED, 3, 1)
    assert home.output(task) == "begin\nline 1\nline 2\nline 3\n"


async def test_exit_codes_that_fell_between_two_supervisors_are_known(home: Home) -> None:
    async with home.front() as front:
        scripts = [
            f"echo $$ >> begun; while [ ! -e go ]; do sleep 0.02; done; exit {code}" for code in range(4)
        ]
        scripts.append("echo $$ >> begun; while [ ! -e go ]; do sleep 0.02; done; kill -TERM $$")
        tasks = [await front.submit_command(CommandRequest(script)) for script in scripts]
        waiting = await front.submit_command(CommandRequest("echo $$ >> after", depends_on=[tasks[0].id]))
        await wait_for(lambda: len(home.lines("begun")) == len(tasks))
        for task in tasks:
            await in_state(front, task, State.RUNNING)
        await home.kill_supervisor()
        (home.work / "go").touch()
        for task in tasks:
            await wait_for((home.run_path(task) / "gone").exists)
    async with home.front(keep=True) as front:
        found = [await ended(front, task) for task in tasks]
        assert (await ended(front, waiting)).outcome is Outcome.SUCCEEDED
    assert [(task.exit_code, task.signal) for task in found] == [
        (0, None),
        (1, None),
        (2, None),
        (3, None),
        (None, 15),
    ]
    assert [task.outcome for task in found] == [Outcome.SUCCEEDED, *([Outcome.FAILED] * 4)]
    assert len(home.lines("begun")) == len(tasks)
    assert len(home.lines("after")) == 1


async def begun(home: Home, front: Front, script: str) -> Task:
    """Have a task run that notes its beginning; then kill supervisor, keeper and task, as when the power goes."""
    task = await front.submit_command(CommandRequest(f"echo $$ >> begun; {script}"))
    await in_state(front, task, State.RUNNING, State.ENDED)
    await wait_for(lambda: home.lines("begun"))
    return task


async def power_cut(home: Home, task: Task) -> None:
    """End everything at once, and make it look as if the machine had been restarted since."""
    await home.kill_supervisor()
    for pid in (home.keeper_pid(task), home.main_pid(task)):
        kill(pid)
        await wait_for(lambda pid=pid: not alive(pid))
    path = home.run_path(task) / "start"
    path.write_text(path.read_text().replace(boot_id(), "11111111-2222-3333-4444-555555555555"))


async def test_a_task_that_vanished_with_the_machine_is_interrupted(home: Home) -> None:
    async with home.front() as front:
        task = await begun(home, front, "exec sleep 300")
        await power_cut(home, task)
    async with home.front(keep=True) as front:
        done = await ended(front, task)
        assert (done.outcome, done.exit_code, done.signal) == (Outcome.INTERRUPTED, None, None)
        assert done.reason == "the machine was restarted while it ran"
        assert len(await events_of(front, task, "task:ended")) == 1
    assert len(home.lines("begun")) == 1


async def test_a_task_that_ended_before_the_machine_went_down_keeps_its_exit_code(home: Home) -> None:
    async with home.front() as front:
        task = await begun(home, front, "while [ ! -e go ]; do sleep 0.02; done; exit 5")
        await home.kill_supervisor()
        (home.work / "go").touch()
        await wait_for((home.run_path(task) / "gone").exists)
        path = home.run_path(task) / "start"
        path.write_text(path.read_text().replace(boot_id(), "11111111-2222-3333-4444-555555555555"))
    async with home.front(keep=True) as front:
        done = await ended(front, task)
    assert (done.outcome, done.exit_code) == (Outcome.FAILED, 5)


async def test_a_task_that_had_not_begun_when_the_machine_went_down_runs_after_it(home: Home) -> None:
    async with home.front() as front:
        task = await begun(home, front, "[ -e second ] || exec sleep 300")
        await power_cut(home, task)
    (home.run_path(task) / "began").unlink()
    (home.work / "second").touch()
    async with home.front(keep=True) as front:
        done = await ended(front, task)
    assert (done.outcome, done.run) == (Outcome.SUCCEEDED, 2)


async def test_rows_that_are_behind_the_evidence_are_brought_up_to_it(home: Home) -> None:
    # As after a registry was restored from a backup that was made between admission and start.
    async with home.front() as front:
        task = await begun(home, front, "while [ ! -e go ]; do sleep 0.02; done; exit 5")
        await home.kill_supervisor()
        async with front.db.write() as tx:
            await tx.run("UPDATE tasks SET state = 'starting', started_at = NULL")
            await tx.run("UPDATE runs SET started_at = NULL, keeper = NULL, main = NULL")
        (home.work / "go").touch()
        await wait_for((home.run_path(task) / "gone").exists)
    async with home.front(keep=True) as front:
        done = await ended(front, task)
    assert (done.outcome, done.exit_code, done.run) == (Outcome.FAILED, 5, 1)
    assert done.started_at is not None


@pytest.mark.parametrize("name", ["start", "exit"])
@pytest.mark.parametrize("content", [b"\0\0", b"[]", b"{}"])
async def test_a_damaged_record_is_no_evidence_of_success(home: Home, name: str, content: bytes) -> None:
    async with home.front() as front:
        task = await begun(home, front, "exec sleep 300")
        await power_cut(home, task)
        (home.run_path(task) / name).write_bytes(content)
    async with home.front(keep=True) as front:
        done = await ended(front, task)
        assert done.outcome in {Outcome.INTERRUPTED, Outcome.FAILED}
        # Nor does it stop the supervisor from working.
        assert (
            await ended(front, await front.submit_command(CommandRequest("true")))
        ).outcome is Outcome.SUCCEEDED
    assert home.epoch() == 2
