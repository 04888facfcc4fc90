from __future__ import annotations

import sqlite3
from contextlib import closing

from support import Home, ended, wait_for

from claudine_mcp.core.errors import TaskNotFound
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.front.tasklogs import task_logs
from claudine_mcp.host.lease import is_held

DAY_S = 86_400


def age(home: Home, task_id: str, days: float) -> None:
    with closing(sqlite3.connect(home.state_dir / "registry.db")) as connection, connection:
        connection.execute("UPDATE tasks SET ended_at = ended_at - ? WHERE id = ?", (days * DAY_S, task_id))


async def exists(front: Front, task_id: str) -> bool:
    try:
        await front.task(task_id)
    except TaskNotFound:
        return False
    return True


async def test_old_tasks_lose_first_their_output_and_then_everything(home: Home) -> None:
    async with home.front() as front:
        ids = [(await front.submit_command(CommandRequest("echo out"))).id for _ in range(3)]
        for task_id in ids:
            await ended(front, task_id)
        await wait_for(lambda: home.query("SELECT count(*) FROM runs WHERE gone_at IS NULL") == [(0,)])
        await home.kill_supervisor()
        new, old, ancient = ids
        age(home, old, 8)
        age(home, ancient, 15)
        later = await front.submit_command(CommandRequest("true"))
        await ended(front, later)
        await wait_for(lambda: not home.run_path(ancient).parent.exists())
        assert not await exists(front, ancient)
        await wait_for(lambda: not (home.run_path(old) / "stdout.log").exists())
        assert (await front.task(old)).outcome == "succeeded"
        assert "retention.logs" in str((await task_logs(front, old)).notes)
        assert home.output(new) == "out\n"


async def test_a_task_that_others_wait_for_stays(home: Home) -> None:
    async with home.front() as front:
        first = await front.submit_command(CommandRequest("true"))
        await ended(front, first)
        await wait_for(lambda: home.query("SELECT count(*) FROM runs WHERE gone_at IS NULL") == [(0,)])
        await home.kill_supervisor()
        age(home, first.id, 100)
        waiting = await front.submit_command(
            CommandRequest("true", depends_on=[first.id], not_before="2999-01-01T00:00:00Z")
        )
        marker = await front.submit_command(CommandRequest("true"))
        await ended(front, marker)
        assert await exists(front, first.id)
        await front.cancel(waiting.id)


async def test_the_files_of_a_submission_that_was_cut_off_are_gone_when_the_supervisor_goes(
    home: Home,
) -> None:
    async with home.front() as front:
        await ended(front, await front.submit_command(CommandRequest("true")))
        cut_off = home.state_dir / "tasks" / "cutoff00"
        cut_off.mkdir()
        (cut_off / "env").write_text("{}")
        await wait_for(lambda: not is_held(home.state_dir))
    assert not cut_off.exists()
