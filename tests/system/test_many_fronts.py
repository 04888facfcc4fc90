"""Many fronts at the same moment: nothing is lost, nothing runs twice, there is one supervisor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from support import Home, ended, wait_for

from claudine_mcp.core.states import Outcome
from claudine_mcp.front.submit import CommandRequest

FRONT = Path(__file__).parent.parent / "front_process.py"
FRONTS = int(os.environ.get("CLAUDINE_TEST_FRONTS", "10"))
TASKS_EACH = int(os.environ.get("CLAUDINE_TEST_TASKS_EACH", "10"))
"""For the storm of the design, set these to 20 and 25."""


def together(home: Home, script: str) -> list[tuple[str, str]]:
    """Have many fronts, each a process, submit a script several times at the same moment; give what they wrote."""
    start = home.folder / "start"
    arguments = {"commands": [script] * TASKS_EACH, "then": "leave", "start": str(start)}
    with ExitStack() as stack:
        fronts = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(FRONT), json.dumps(arguments)],
                    env=home.env,
                    cwd=home.work,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(FRONTS)
        ]
        start.touch()
        return [front.communicate(timeout=120) for front in fronts]


async def test_fronts_that_submit_at_the_same_moment_lose_nothing_and_start_one_supervisor(
    home: Home,
) -> None:
    home.configure(limits={"softMaxConcurrent": 20, "hardMaxConcurrent": 50})
    said = together(home, "echo $CLAUDINE_TASK >> begun")
    assert [errors for _, errors in said if errors] == []
    ids = [task_id for output, _ in said for task_id in json.loads(output)]
    assert len(set(ids)) == FRONTS * TASKS_EACH
    async with home.front(keep=True) as front:
        for task_id in ids:
            done = await ended(front, task_id)
            assert (done.outcome, done.run) == (Outcome.SUCCEEDED, 1)
        await wait_for(lambda: not home.query("SELECT 1 FROM runs WHERE gone_at IS NULL"))
    assert sorted(home.lines("begun")) == sorted(ids)
    assert home.epoch() == 1
    assert home.query("SELECT count(*) FROM tasks") == [(len(ids),)]
    assert home.query("SELECT count(*) FROM runs") == [(len(ids),)]
    assert "locked" not in home.log()
    assert "Traceback" not in home.log()


async def test_priority_dependencies_caps_and_time_decide_who_runs_when(home: Home) -> None:
    home.configure(limits={"softMaxConcurrent": 1, "hardMaxConcurrent": 2})
    note = "echo $CLAUDINE_TASK >> begun; "
    wait = note + "while [ ! -e go ]; do sleep 0.02; done"
    async with home.front() as front:
        first = await front.submit_command(CommandRequest(wait))
        await wait_for(lambda: home.lines("begun") == [first.id])
        low = await front.submit_command(CommandRequest(note, priority="P2"))
        normal = await front.submit_command(CommandRequest(note, priority="P1"))
        after = await front.submit_command(CommandRequest(note, priority="P0", depends_on=[low.id]))
        much_later = await front.submit_command(
            CommandRequest(note, priority="P0", not_before="2099-01-01T00:00:00Z")
        )

        async def holds() -> dict[str, object]:
            tasks = [await front.task(task.id) for task in (low, normal, after, much_later)]
            return {task.id: None if task.hold is None else task.hold["rule"] for task in tasks}

        wanted = {low.id: "softCap", normal.id: "softCap", after.id: "dependency", much_later.id: "notBefore"}

        async def explained() -> bool:
            return await holds() == wanted

        await wait_for(explained)
        # P0 may pass the soft cap, but not the hard one.
        urgent = await front.submit_command(CommandRequest(wait, priority="P0"))
        await wait_for(lambda: home.lines("begun") == [first.id, urgent.id])
        waits = await front.submit_command(CommandRequest(note, priority="P0"))

        async def capped() -> bool:
            return ((await front.task(waits.id)).hold or {}).get("rule") == "hardCap"

        await wait_for(capped)
        assert len(home.lines("begun")) == 2
        (home.work / "go").touch()
        await ended(front, after)
        assert home.lines("begun") == [first.id, urgent.id, waits.id, normal.id, low.id, after.id]
        assert (await front.task(much_later.id)).run == 0
        active = home.query("SELECT count(*) FROM tasks WHERE state NOT IN ('queued', 'ended')")
        assert active == [(0,)]
