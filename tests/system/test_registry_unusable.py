"""A registry that is damaged, newer, or none."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from support import Home

from claudine_mcp.core.errors import RegistryError
from claudine_mcp.core.models import Event, Severity
from claudine_mcp.front.front import open_front
from claudine_mcp.host.statedir import prepare
from claudine_mcp.registry.database import FILE, Database, create
from claudine_mcp.registry.events import add_event, last_seq
from claudine_mcp.registry.schema import VERSION


def event(text: str = "x") -> Event:
    return Event("test:event", Severity.INFO, text, 1.0)


async def count(db: Database) -> int:
    async with db.read() as tx:
        return await last_seq(tx)


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database at all, but long enough to be looked at\n" * 100)


def cut_off(path: Path) -> None:
    create(path)
    path.write_bytes(path.read_bytes()[:3000])


def scrambled(path: Path) -> None:
    create(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))


def foreign(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE precious (x)")
        connection.commit()


def foreign_with_version(path: Path) -> None:
    foreign(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")


def newer(path: Path) -> None:
    create(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def without_lease(path: Path) -> None:
    create(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM lease")
        connection.commit()


UNUSABLE: dict[str, tuple[Callable[[Path], None], str]] = {
    "garbage": (garbage, "damaged"),
    "cut off": (cut_off, "damaged"),
    "scrambled": (scrambled, ""),
    "empty": (Path.touch, "not a registry"),
    "someone else's": (foreign, "not a registry"),
    "someone else's with a version": (foreign_with_version, ""),
    "newer": (newer, "99"),
    "without a lease": (without_lease, "damaged"),
    "a directory": (Path.mkdir, "unable to open"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
async def test_a_registry_that_cannot_be_used_is_named_and_left_as_it_is(home: Home, kind: str) -> None:
    make, words = UNUSABLE[kind]
    prepare(home.state_dir)
    path = home.state_dir / FILE
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(RegistryError) as caught:
        async with open_front(home.env, str(home.work), {"by": "a test"}) as front, front.db.write() as tx:
            await add_event(tx, event())
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    supervisor = await anyio.run_process(
        [sys.executable, "-P", "-m", "claudine_mcp", "supervise", "--once"],
        env=home.env,
        check=False,
        stderr=subprocess.STDOUT,
    )
    text = supervisor.stdout.decode()
    assert supervisor.returncode == 1, text
    assert str(path) in text
    assert "Traceback" not in text
    assert (path.read_bytes() if path.is_file() else b"") == before


async def test_a_registry_that_only_newer_programs_may_write_can_still_be_read(home: Home) -> None:
    async with home.front() as front:
        async with front.db.write() as tx:
            await add_event(tx, event())
            await tx.run("UPDATE meta SET value = '99' WHERE key = 'min_writer_version'")
        with pytest.raises(RegistryError, match="newer claudine-mcp") as caught:
            async with front.db.write() as tx:
                await add_event(tx, event())
        assert str(VERSION) in str(caught.value)
        assert "Nothing was changed" in str(caught.value)
        assert await count(front.db) == 1
