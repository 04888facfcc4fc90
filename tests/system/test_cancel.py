from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from support import Home, alive, ended, events_of, in_state, wait_for

from claudine_mcp.core.models import Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.host.processes import boot_id, identify

NOTE = "import os\nopen('pids', 'a').write(f'{os.getpid()}\\n')\n"
"""Every process of a tree notes its pid."""

STUBBORN = f"""
import signal, time
for name in ('SIGTERM', 'SIGINT', 'SIGHUP'):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
{NOTE}
"""
SLEEP = "while True: time.sleep(60)\n"

TREES = {
    "one that ignores SIGTERM and SIGINT": (STUBBORN + SLEEP, 1),
    "children": (STUBBORN + "for _ in range(2):\n    if os.fork() == 0: break\n" + NOTE + SLEEP, 3),
    "a child in a session of its own": (
        STUBBORN + "if os.fork() == 0:\n    os.setsid()\n    " + NOTE.replace("\n", "\n    ") + "\n" + SLEEP,
        2,
    ),
    "a daemonised grandchild": (
        STUBBORN
        + "if os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n    "
        + NOTE.replace("\n", "\n    ")
        + "\n"
        + SLEEP,
        2,
    ),
    "a daemonised grandchild without our environment": (
        STUBBORN
        + "if os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
        + f"    os.execve({sys.executable!r}, ['x', '-c', {STUBBORN + SLEEP!r}], {{}})\n"
        + SLEEP,
        2,
    ),
    "a stopped one": (NOTE + "import signal, time\nos.kill(os.getpid(), signal.SIGSTOP)\n" + SLEEP, 1),
    "a zombie": (STUBBORN + "if os.fork() == 0: os._exit(0)\n" + SLEEP, 1),
}


async def tree(home: Home, front: Front, script: str, processes: int) -> tuple[Task, list[int]]:
    """Run a script as a task; give it and the pids of its processes, once all are there."""
    task = await front.submit_command(CommandRequest([sys.executable, "-c", script]))
    await wait_for(lambda: len(set(home.lines("pids"))) >= processes)
    return await in_state(front, task, State.RUNNING), sorted({int(pid) for pid in home.lines("pids")})


@pytest.fixture
def briefly(home: Home) -> Home:
    home.configure(limits={"killGrace": "100ms"})
    return home


@pytest.mark.parametrize("kind", TREES)
async def test_a_cancel_ends_the_whole_tree_and_says_how(briefly: Home, kind: str) -> None:
    script, count = TREES[kind]
    async with briefly.front() as front:
        task, pids = await tree(briefly, front, script, count)
        assert len(pids) == count
        done, result = await front.cancel(task.id, "enough")
        assert [pid for pid in pids if alive(pid)] == []
        assert (done.state, done.outcome) == (State.ENDED, Outcome.CANCELLED)
        assert done.reason == "cancelled by a test: enough"
        assert result["changed"] is True
        assert result["outcome"] == "cancelled"
        assert result["stopped"]["processes"] == count
        assert (
            result["stopped"]["signals"] == ["SIGTERM"] if kind == "a stopped one" else ["SIGTERM", "SIGKILL"]
        )
        assert result["stopped"]["tookSeconds"] >= 0
        (event,) = await events_of(front, task, "task:ended")
        assert event.data["outcome"] == "cancelled"
        assert briefly.query("SELECT count(*) FROM runs WHERE gone_at IS NULL") == [(0,)]


async def test_a_tree_that_forks_while_it_is_killed_is_ended(briefly: Home) -> None:
    # Bounded: each process lives 10 ms and is followed by two, up to generation 8, beside one that forks for ever.
    script = STUBBORN + (
        "def grow(depth):\n"
        "    if depth == 8: time.sleep(300)\n"
        "    for _ in range(2):\n"
        "        if os.fork() == 0: time.sleep(0.01); grow(depth + 1); os._exit(0)\n"
        "    time.sleep(300)\n"
        "if os.fork() == 0: grow(3)\n"
        "end = time.monotonic() + 20\n"
        "while time.monotonic() < end:\n"
        "    if os.fork() == 0: time.sleep(0.05); os._exit(0)\n"
        "    time.sleep(0.005)\n"
        "    try:\n"
        "        while os.waitpid(-1, os.WNOHANG)[0]: pass\n"
        "    except ChildProcessError: pass\n"
    )
    async with briefly.front() as front:
        task, pids = await tree(briefly, front, script, 1)
        done, result = await front.cancel(task.id)
        assert done.outcome is Outcome.CANCELLED
        assert result["stopped"]["processes"] > 10
        assert not any(alive(pid) for pid in pids)
    # That nothing else of it is alive is what the fixture asserts.


async def test_who_heeds_sigterm_is_not_killed(home: Home) -> None:
    home.configure(limits={"killGrace": "20s"})
    script = "trap 'echo bye; exit 0' TERM; echo $$ >> pids; while :; do sleep 0.02; done"
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(script))
        await wait_for(lambda: home.lines("pids"))
        await in_state(front, task, State.RUNNING)
        done, result = await front.cancel(task.id)
    assert result["stopped"]["signals"] == ["SIGTERM"]
    assert home.output(task) == "bye\n"
    # It obeyed; that it called this a success does not make its work complete.
    assert (done.outcome, done.exit_code) == (Outcome.CANCELLED, 0)


async def test_cancelling_a_queued_task_never_starts_it(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(
            CommandRequest("echo $$ >> begun", not_before="2099-01-01T00:00:00Z")
        )
        done, result = await front.cancel(task.id)
        assert (done.outcome, done.run, done.started_at) == (Outcome.CANCELLED, 0, None)
        assert result == {"changed": True, "outcome": "cancelled", "reason": done.reason, "stopped": {}}
        again, second = await front.cancel(task.id)
        assert second["changed"] is False
        assert "ended already" in second["reason"]
        assert again == done
    assert home.lines("begun") == []
    assert not home.run_path(task).exists()


@pytest.mark.parametrize("script", ["exit 0", "exit 3"])
async def test_cancelling_what_has_ended_says_so_and_changes_nothing(home: Home, script: str) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(script))
        done = await ended(front, task)
        await wait_for(lambda: home.query("SELECT 1 FROM runs WHERE gone_at IS NOT NULL"))
        before = await events_of(front, task)
        after, result = await front.cancel(task.id, "too late")
        assert after == done
        assert result["changed"] is False
        assert result["outcome"] == done.outcome
        assert "ended already" in result["reason"]
        assert await events_of(front, task) == before


async def test_two_who_cancel_at_once_agree(briefly: Home) -> None:
    results: list[dict[str, Any]] = []
    script, count = TREES["children"]
    async with briefly.front("one") as front, briefly.front("two") as other:
        task, pids = await tree(briefly, front, script, count)

        async def cancel(by: Front) -> None:
            results.append((await by.cancel(task.id))[1])

        async with anyio.create_task_group() as group:
            group.start_soon(cancel, front)
            group.start_soon(cancel, other)
        assert sorted(result["changed"] for result in results) == [False, True]
        assert not any(alive(pid) for pid in pids)
        assert len(await events_of(front, task, "task:ended")) == 1


async def test_what_one_front_cancels_another_sees_and_both_agree_for_good(briefly: Home) -> None:
    script, count = TREES["one that ignores SIGTERM and SIGINT"]
    seen: list[State] = []
    async with briefly.front("one") as front, briefly.front("two") as other:
        task, _ = await tree(briefly, front, script, count)

        async def show() -> None:
            while not seen or seen[-1] is not State.ENDED:
                seen.append((await other.task(task.id)).state)
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(show)
            await front.cancel(task.id)
        done = await front.task(task.id)
        assert list(dict.fromkeys(seen)) in (
            [State.RUNNING, State.STOPPING, State.ENDED],
            [State.STOPPING, State.ENDED],
            [State.RUNNING, State.ENDED],
        )
        assert await other.task(task.id) == done
        await briefly.kill_supervisor()
        await ended(other, await other.submit_command(CommandRequest("true")))
        assert await other.task(task.id) == done == await front.task(task.id)


async def test_a_pid_that_belongs_to_someone_else_now_is_not_touched(briefly: Home) -> None:
    async with briefly.front() as front:
        task = await front.submit_command(CommandRequest("exec sleep 300"))
        await in_state(front, task, State.RUNNING)
        await wait_for((briefly.run_path(task) / "began").exists)
        await briefly.kill_supervisor()
        for pid in (briefly.keeper_pid(task), briefly.main_pid(task)):
            os.kill(pid, signal.SIGKILL)
            await wait_for(lambda pid=pid: not alive(pid))
        # This very process gets the pids, as if they had been given out again.
        start = briefly.record(task, "start")
        me = identify(os.getpid())
        assert me is not None
        for who in ("keeper", "main"):
            start[who] = {"pid": me.pid, "start": me.start - 1}
        (briefly.run_path(task) / "start").write_text(json.dumps(start))
        done, result = await front.cancel(task.id)
    # It had vanished before anyone asked for its end.
    assert done.outcome in {Outcome.CANCELLED, Outcome.INTERRUPTED}
    assert result.get("stopped", {}).get("processes", 0) == 0


async def test_a_run_of_another_boot_is_cancelled_without_a_signal(briefly: Home) -> None:
    async with briefly.front() as front:
        task = await front.submit_command(CommandRequest("exec sleep 300"))
        await in_state(front, task, State.RUNNING)
        await wait_for((briefly.run_path(task) / "began").exists)
        await briefly.kill_supervisor()
        for pid in (briefly.keeper_pid(task), briefly.main_pid(task)):
            os.kill(pid, signal.SIGKILL)
            await wait_for(lambda pid=pid: not alive(pid))
        start = briefly.record(task, "start")
        me = identify(os.getpid())
        assert me is not None
        for who in (
            "keeper",
            "main",
        ):  # the same pid and even the same start time, before the machine was restarted
            start[who] = {"pid": me.pid, "start": me.start}
        start["boot_id"] = "0" * len(boot_id())
        (briefly.run_path(task) / "start").write_text(json.dumps(start))
        done, result = await front.cancel(task.id)
    assert done.outcome in {Outcome.CANCELLED, Outcome.INTERRUPTED}
    assert result.get("stopped", {}).get("processes", 0) == 0


async def test_a_task_that_ended_by_itself_before_the_cancel_keeps_its_own_outcome(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(
            CommandRequest("mkfifo fifo; echo $$ >> begun; read line < fifo; exit 4")
        )
        await wait_for(lambda: home.lines("begun"))
        await in_state(front, task, State.RUNNING)
        supervisor = await home.supervisor()
        # It ends, and nobody has looked yet when the cancel comes.
        os.kill(supervisor.pid, signal.SIGSTOP)
        (home.work / "fifo").write_text("\n")
        await wait_for((home.run_path(task) / "gone").exists)
        async with anyio.create_task_group() as group:
            group.start_soon(front.cancel, task.id)
            await wait_for(lambda: home.query("SELECT 1 FROM commands"))
            os.kill(supervisor.pid, signal.SIGCONT)
        done = await front.task(task.id)
    assert (done.outcome, done.exit_code) == (Outcome.FAILED, 4)
