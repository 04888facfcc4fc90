"""What the registry knows of a task's like."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support import Home

from claudine_mcp.core.eta import PastRun
from claudine_mcp.core.models import Kind, Priority, Run, Task
from claudine_mcp.core.states import State
from claudine_mcp.host.statedir import prepare
from claudine_mcp.registry.database import Database, open_database
from claudine_mcp.registry.history import ENOUGH_RUNS, past_runs
from claudine_mcp.registry.tasks import add_run, insert_task, update_run, update_task


@pytest.fixture
async def db(home: Home) -> AsyncIterator[Database]:
    prepare(home.state_dir)
    async with open_database(home.state_dir) as database:
        yield database


def task(task_id: str, command: str = "make test", **more: Any) -> Task:
    return Task(task_id, more.pop("kind", Kind.COMMAND), "x", more.pop("cwd", "/home/dev"), {"command": command},
                Priority.P1, State.QUEUED, 0.0, 0.0, **more)  # fmt: skip


async def ended(db: Database, made: Task, took_s: float | None, n: int = 1, **columns: Any) -> None:
    """Store a task whose run took so long; of None, one that never started."""
    at = 1000.0 * (1 + sum(map(ord, made.id)))
    run = Run(made.id, n, at)
    times = {} if took_s is None else {"started_at": at, "exited_at": at + took_s}
    async with db.write() as tx:
        if n == 1:
            await insert_task(tx, made)
        await add_run(tx, run)
        await update_run(tx, run, **{"outcome": "succeeded", **columns, **times})
        await update_task(tx, made.id, state="ended", outcome="succeeded", ended_at=at, run=n)


async def past(db: Database, of: Task) -> list[PastRun]:
    async with db.read() as tx:
        return await past_runs(tx, of)


async def test_the_time_that_a_run_was_suspended_is_no_part_of_how_long_it_took(db: Database) -> None:
    await ended(db, task("a"), 100, suspended_s=60.0)
    assert await past(db, task("new")) == [PastRun(40)]


async def test_runs_of_the_same_class_are_found_and_no_others(db: Database) -> None:
    await ended(db, task("a"), 10)
    await ended(db, task("b", "make -j8 test"), 20)
    await ended(db, task("c", "make"), 30)
    await ended(db, task("d", cwd="/home/other"), 40)
    await ended(db, task("e", labels=("slow",)), 50)
    await ended(db, task("f", kind=Kind.CLAUDE), 60)
    await ended(db, task("g"), None)
    assert await past(db, task("new")) == [PastRun(20), PastRun(10)]
    assert await past(db, task("new", labels=("slow",))) == [PastRun(50)]
    assert await past(db, task("new", "ls")) == []


@pytest.mark.parametrize(
    ("columns", "is_censored"),
    [
        ({"outcome": "succeeded"}, False),
        ({"outcome": "failed", "exit_code": 2}, False),
        ({"outcome": "failed", "signal": 9}, True),
        ({"outcome": "cancelled", "signal": 15}, True),
        ({"outcome": "interrupted"}, True),
    ],
)
async def test_a_run_that_did_not_end_by_itself_is_censored(
    db: Database, columns: dict[str, Any], is_censored: bool
) -> None:
    await ended(db, task("a"), 10, **columns)
    assert await past(db, task("new")) == [PastRun(10, is_censored)]


async def test_earlier_runs_of_the_task_itself_count(db: Database) -> None:
    again = task("a")
    await ended(db, again, 10)
    async with db.write() as tx:
        await update_task(tx, "a", state="running", outcome=None, ended_at=None, run=2)
        await add_run(tx, Run("a", 2, 1.0))
    assert await past(db, again) == [PastRun(10)]


async def test_the_last_runs_are_enough(db: Database) -> None:
    for n in range(ENOUGH_RUNS + 5):
        await ended(db, task(chr(ord("a") + n)), float(n))
    found = await past(db, task("new"))
    assert found == [PastRun(float(n)) for n in range(ENOUGH_RUNS + 4, 4, -1)]


async def test_tasks_that_have_ended_are_walked_along_an_index(db: Database) -> None:
    async with db.read() as tx:
        plan = await tx.all(
            "EXPLAIN QUERY PLAN SELECT id FROM tasks INDEXED BY tasks_by_end WHERE state = 'ended'"
            " ORDER BY ended_at DESC LIMIT 9"
        )
    assert [tuple(row)[3] for row in plan] == ["SCAN tasks USING INDEX tasks_by_end"]
