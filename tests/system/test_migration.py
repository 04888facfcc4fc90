"""A registry that an earlier release has written."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import sys
from pathlib import Path

import anyio
import pytest
from staging import take_lease
from support import Home, ended

from claudine_mcp.core.errors import RegistryError
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front import migration
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.host.processes import identify
from claudine_mcp.host.statedir import prepare
from claudine_mcp.registry.database import FILE
from claudine_mcp.registry.schema import VERSION

STORED = sorted((Path(__file__).parents[1] / "data").glob("registry-v*.sql"))


def restore(home: Home, stored: Path) -> Path:
    """Put a stored registry into a state directory."""
    prepare(home.state_dir)
    path = home.state_dir / FILE
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(stored.read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    path.chmod(0o600)
    return path


def version_of(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


async def works(front: Front) -> None:
    states = {
        name: (await front.task(task_id)).state
        for task_id, name in [("4rhyc6v5", "succeeds"), ("qzvnn9j5", "waits"), ("rrnmn5nm", "is cancelled")]
    }
    assert states == {"succeeds": State.ENDED, "waits": State.QUEUED, "is cancelled": State.ENDED}
    assert (await front.settings()).settings.monitoring.level == "passive"
    done = await ended(front, await front.submit_command(CommandRequest("true", depends_on=["4rhyc6v5"])))
    assert done.outcome is Outcome.SUCCEEDED


def test_there_is_a_stored_registry_of_every_earlier_version() -> None:
    assert [path.stem for path in STORED] == [f"registry-v{version}" for version in range(1, VERSION)]


@pytest.mark.parametrize("stored", STORED, ids=lambda path: path.stem)
async def test_it_is_migrated_when_a_front_opens_it_and_everything_is_still_there(
    home: Home, stored: Path
) -> None:
    path = restore(home, stored)
    async with home.front() as front:
        assert version_of(path) == VERSION
        await works(front)


async def test_a_supervisor_of_the_earlier_release_is_ended_and_followed_by_one_of_this(home: Home) -> None:
    path = restore(home, STORED[0])
    lease = take_lease(home.state_dir)
    async with await anyio.open_process([sys.executable, "-c", "input()"]) as old:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE lease SET holder = ?", (str(identify(old.pid)),))
        async with anyio.create_task_group() as group:

            async def let_go_when_it_ends() -> None:
                await old.wait()
                lease.release()

            group.start_soon(let_go_when_it_ends)
            async with home.front() as front:
                await works(front)
    assert old.returncode == -signal.SIGTERM


async def test_a_migration_that_fails_is_told_with_the_reason_and_leaves_the_registry_as_it_was(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "LIMIT_S", 10.0)
    path = restore(home, STORED[0])
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alerts (in_the_way)")
    with pytest.raises(RegistryError, match="alerts already exists"):
        async with home.front():
            pass
    assert version_of(path) == 1
