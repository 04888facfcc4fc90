from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from support import Home, wait_for

from claudine_mcp.core.errors import LeaseLost
from claudine_mcp.core.models import Event, Severity
from claudine_mcp.host.statedir import prepare
from claudine_mcp.registry.database import FILE, Database, create, open_database
from claudine_mcp.registry.events import add_event, last_seq
from claudine_mcp.registry.leases import holder, take_epoch


@pytest.fixture
async def db(home: Home) -> AsyncIterator[Database]:
    prepare(home.state_dir)
    async with open_database(home.state_dir) as database:
        yield database


def event(text: str = "x") -> Event:
    return Event("test:event", Severity.INFO, text, 1.0)


async def count(db: Database) -> int:
    async with db.read() as tx:
        return await last_seq(tx)


# -- making one ---------------------------------------------------------------------------------------------


def test_many_that_make_it_at_once_share_one(home: Home) -> None:
    # In threads, each with its own connections; `test_many_fronts` does it with processes.
    prepare(home.state_dir)
    barrier = threading.Barrier(8)

    async def make_and_write() -> None:
        barrier.wait(20)
        async with open_database(home.state_dir) as db:
            for _ in range(5):
                async with db.write() as tx:
                    await add_event(tx, event())

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(anyio.run, make_and_write) for _ in range(8)]:
            done.result(30)
    assert home.query("SELECT count(*) FROM events") == [(40,)]
    assert [path.name for path in home.state_dir.iterdir() if ".new-" in path.name] == []


def test_one_that_is_there_is_left_alone(home: Home) -> None:
    prepare(home.state_dir)
    path = home.state_dir / FILE
    create(path)
    inode = path.stat().st_ino
    create(path)
    assert path.stat().st_ino == inode
    assert [found.name for found in home.state_dir.iterdir() if found.name.startswith("registry")] == [FILE]


async def test_it_is_for_its_owner_only_and_syncs_every_commit(db: Database) -> None:
    async with db.write() as tx:
        await add_event(tx, event())
        assert dict((await tx.all("PRAGMA journal_mode"))[0]) == {"journal_mode": "wal"}
        assert dict((await tx.all("PRAGMA synchronous"))[0]) == {"synchronous": 2}
        assert dict((await tx.all("PRAGMA foreign_keys"))[0]) == {"foreign_keys": 1}
    for path in db.path.parent.glob("registry.db*"):
        assert path.stat().st_mode & 0o077 == 0, path


# -- transactions -------------------------------------------------------------------------------------------


async def test_a_write_that_fails_changes_nothing_and_the_next_one_works(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with db.write() as tx:
            await add_event(tx, event())
            raise ZeroDivisionError
    assert await count(db) == 0
    async with db.write() as tx:
        await add_event(tx, event())
    assert await count(db) == 1


async def test_a_write_that_breaks_a_rule_changes_nothing(db: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError):  # noqa: PT012
        async with db.write() as tx:
            await add_event(tx, event())
            await tx.run("INSERT INTO runs (task_id, n, admitted_at) VALUES ('nosuch', 1, 1)")
    assert await count(db) == 0


async def test_a_write_in_a_cancelled_scope_is_whole(db: Database) -> None:
    with anyio.CancelScope() as scope:
        async with db.write() as tx:
            await add_event(tx, event())
            scope.cancel()
            await anyio.lowlevel.checkpoint()
            await add_event(tx, event())
    assert await count(db) == 2


async def test_a_write_whose_task_is_cancelled_changes_nothing_and_the_next_one_works(db: Database) -> None:
    async def write() -> None:
        async with db.write() as tx:
            await add_event(tx, event())
            begun.set()
            await asyncio.Event().wait()

    begun = asyncio.Event()
    task = asyncio.create_task(write())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(db) == 0
    async with db.write() as tx:
        await add_event(tx, event())
    assert await count(db) == 1


async def test_tasks_that_write_at_once_take_turns(db: Database) -> None:
    async def write(number: int) -> None:
        async with db.write() as tx:
            before = await last_seq(tx)
            await anyio.lowlevel.checkpoint()
            assert await add_event(tx, event(str(number))) == before + 1

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(write, number)
    assert await count(db) == 20


async def test_a_read_sees_one_state_whatever_is_written_meanwhile(db: Database) -> None:
    async with db.read() as tx:
        before = await last_seq(tx)
        async with db.write() as writing:
            await add_event(writing, event())
        assert await last_seq(tx) == before
    assert await count(db) == before + 1


async def test_the_counter_tells_of_commits_of_others(home: Home, db: Database) -> None:
    async with open_database(home.state_dir) as other:
        before = await db.change_counter()
        assert await db.change_counter() == before
        async with other.write() as tx:
            await add_event(tx, event())
        assert await db.change_counter() != before


async def test_a_commit_rings_and_a_read_does_not(db: Database) -> None:
    db.bell.touch()
    os.utime(db.bell, ns=(1, 1))
    await count(db)
    async with db.write() as tx:
        await last_seq(tx)
    assert db.bell.stat().st_mtime_ns == 1
    async with db.write() as tx:
        await add_event(tx, event())
    assert db.bell.stat().st_mtime_ns > 1


# -- the lease's guard --------------------------------------------------------------------------------------


async def test_a_supervisor_that_was_followed_by_another_writes_nothing_any_more(
    home: Home, db: Database
) -> None:
    async with db.write() as tx:
        db.epoch = await take_epoch(tx, "first", "0", 1.0)
    async with db.write() as tx:
        await add_event(tx, event())
    async with open_database(home.state_dir) as other:
        async with other.write() as tx:
            other.epoch = await take_epoch(tx, "second", "0", 2.0)
        assert (db.epoch, other.epoch) == (1, 2)
        with pytest.raises(LeaseLost, match="epoch 2"):
            async with db.write() as tx:
                await add_event(tx, event())
        assert await count(db) == 1
        async with other.write() as tx:
            await add_event(tx, event())
            assert (await holder(tx)).identity == "second"
    assert await count(db) == 2


async def test_a_front_writes_whoever_has_the_lease(db: Database) -> None:
    async with db.write() as tx:
        await take_epoch(tx, "someone", "0", 1.0)
    async with db.write() as tx:
        await add_event(tx, event())
    assert await count(db) == 1


async def test_a_registry_that_another_program_holds_is_waited_for(home: Home, db: Database) -> None:
    with contextlib.closing(sqlite3.connect(db.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as group:

            async def write() -> None:
                async with db.write() as tx:
                    await add_event(tx, event())

            group.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            assert await count(db) == 0
            other.execute("COMMIT")
    await wait_for(lambda: home.query("SELECT count(*) FROM events") == [(1,)])
