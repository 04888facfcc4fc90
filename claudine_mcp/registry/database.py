"""The connection to `registry.db`: how it is made, opened, read and written.

One process has one `Database`: one connection that reads and one that writes, each behind a lock, because
tasks that share a connection share its transaction. Every write is `BEGIN IMMEDIATE`: a read that turns into
a write would fail at once, whatever the timeout. Transactions are shielded from cancellation, and short.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import anyio

from claudine_mcp.core.errors import LeaseLost, RegistryError
from claudine_mcp.registry.bell import ring
from claudine_mcp.registry.schema import MIGRATIONS, VERSION

FILE = "registry.db"
BUSY_TIMEOUT_MS = 30_000
"""Twenty writers waited 104 ms at the worst; half a minute means that something else is wrong."""


class OlderRegistry(RegistryError):
    """It was written by an older program, and a supervisor of this one has to migrate it first."""


class DiskFull(RegistryError):
    """Nothing was written, because there is no space left."""


class Transaction:
    """What is open between BEGIN and COMMIT: reads, and writes if it was begun for them.

    Attributes:
        on_disk_changed: whether there will be something to tell the others about.
    """

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.on_disk_changed = False

    async def all(self, sql: str, parameters: Iterable[Any] = ()) -> list[sqlite3.Row]:
        """Give every row."""
        return list(await self._connection.execute_fetchall(sql, parameters))

    async def one(self, sql: str, parameters: Iterable[Any] = ()) -> sqlite3.Row | None:
        """Give the first row, None if there is none."""
        rows = await self.all(sql, parameters)
        return rows[0] if rows else None

    async def run(self, sql: str, parameters: Iterable[Any] = ()) -> int:
        """Execute a change; give how many rows it changed."""
        async with self._connection.execute(sql, parameters) as cursor:
            self.on_disk_changed = True
            return cursor.rowcount

    async def run_many(self, sql: str, rows: Iterable[Iterable[Any]]) -> None:
        """Execute a change once for each row of parameters."""
        async with self._connection.executemany(sql, rows):
            self.on_disk_changed = True

    async def insert(self, sql: str, parameters: Iterable[Any] = ()) -> int:
        """Execute an INSERT; give the new row's number."""
        async with self._connection.execute(sql, parameters) as cursor:
            self.on_disk_changed = True
            return cursor.lastrowid or 0


class Database:
    """The registry, open. Use `open_database`.

    Attributes:
        epoch: set by a supervisor: the number of its lease. A write when the registry has another number
            raises LeaseLost and changes nothing.
    """

    def __init__(
        self, path: Path, bell: Path, reader: aiosqlite.Connection, writer: aiosqlite.Connection
    ) -> None:
        self.path = path
        self.bell = bell
        self.epoch: int | None = None
        self._reader = reader
        self._writer = writer
        self._reading = anyio.Lock()
        self._writing = anyio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Transaction]:
        """Read; all statements inside see the same state of the database.

        Raises:
            RegistryError: it is damaged or out of reach.
        """
        async with self._reading:
            with anyio.CancelScope(shield=True), translated_errors(self.path):
                await self._reader.execute("BEGIN")
                try:
                    yield Transaction(self._reader)
                finally:
                    await self._reader.execute("COMMIT")

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[Transaction]:
        """Change the registry: all of it or nothing. The bell rings after the commit.

        Raises:
            LeaseLost: this supervisor has been superseded.
            DiskFull: there is no space; nothing was changed.
            RegistryError: it is damaged, newer than this program, or out of reach.
        """
        async with self._writing:
            transaction = Transaction(self._writer)
            with anyio.CancelScope(shield=True), translated_errors(self.path):
                await self._writer.execute("BEGIN IMMEDIATE")
                try:
                    await self._check_may_write(transaction)
                    yield transaction
                    await self._writer.execute("COMMIT")
                except BaseException:
                    await self._roll_back()
                    raise
        if transaction.on_disk_changed:
            ring(self.bell)

    async def _roll_back(self) -> None:
        # A full disk may have rolled back already; then there is nothing to do.
        if self._writer.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                await self._writer.execute("ROLLBACK")

    async def _check_may_write(self, transaction: Transaction) -> None:
        row = await transaction.one(
            "SELECT (SELECT value FROM meta WHERE key = 'min_writer_version'), epoch, holder FROM lease"
        )
        if row is None:
            raise RegistryError(f"{self.path}: the table 'lease' is empty; the registry is damaged")
        if int(row[0]) > VERSION:
            raise newer(self.path, int(row[0]))
        if self.epoch is not None and row[1] != self.epoch:
            raise LeaseLost(f"epoch {row[1]} ({row[2]}) has followed epoch {self.epoch}")

    async def change_counter(self) -> int:
        """Give a number that differs once another connection has committed."""
        async with self._reading:
            with translated_errors(self.path):
                rows = list(await self._reader.execute_fetchall("PRAGMA data_version"))
                return int(rows[0][0])

    async def checkpoint(self) -> None:
        """Move the WAL into the database, as far as readers let it. For the supervisor only."""
        async with self._writing:
            with translated_errors(self.path):
                await self._writer.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")

    async def close(self) -> None:
        """Close both connections."""
        with anyio.CancelScope(shield=True):
            await self._reader.close()
            await self._writer.close()


@asynccontextmanager
async def open_database(directory: Path) -> AsyncGenerator[Database]:
    """Open the registry in a state directory; make it if it is not there.

    Raises:
        OlderRegistry: it has to be migrated first.
        RegistryError: it is damaged, newer than this program, or out of reach.
    """
    path = directory / FILE
    bell = directory / "bell"
    with translated_errors(path):
        if not path.exists():
            create(path)
        async with contextlib.AsyncExitStack() as stack:
            connections: list[aiosqlite.Connection] = []
            for _ in range(2):
                connection = await stack.enter_async_context(
                    aiosqlite.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
                )
                for pragma in (
                    f"busy_timeout = {BUSY_TIMEOUT_MS}",
                    "synchronous = FULL",
                    "foreign_keys = ON",
                    "wal_autocheckpoint = 0",  # the supervisor's work
                ):
                    await connection.execute_fetchall(f"PRAGMA {pragma}")
                connection.row_factory = sqlite3.Row
                connections.append(connection)
            rows = list(await connections[0].execute_fetchall("PRAGMA user_version"))
            version = int(rows[0][0])
            check_version(path, version)
            if version < VERSION:
                raise OlderRegistry(f"{path}: its version is {version}, this program's is {VERSION}")
            yield Database(path, bell, *connections)


def create(path: Path) -> None:
    """Make a new registry beside `path` and put it there whole; leave one that is there alone."""
    draft = path.with_name(f"{FILE}.new-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            draft.chmod(0o600)
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        for suffix in ("", "-wal", "-shm"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def migrate(connection: sqlite3.Connection) -> int:
    """Bring a registry to this program's version, a transaction a step; give the version it had."""
    (before,) = connection.execute("PRAGMA user_version").fetchone()
    for version in range(before, VERSION):
        connection.executescript(
            f"BEGIN IMMEDIATE; {MIGRATIONS[version]}; PRAGMA user_version = {version + 1}; COMMIT;"
        )
    return before


def upgrade(path: Path) -> None:
    """Bring a registry that is there to this program's version. For the supervisor only.

    Raises:
        RegistryError: it is no registry, or a newer program's; nothing was changed.
    """
    with contextlib.closing(
        sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
    ) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        check_version(path, version)
        migrate(connection)


def check_version(path: Path, version: int) -> None:
    """See that a file with this `user_version` is a registry that this program can read.

    Raises:
        RegistryError: it is not.
    """
    if version > VERSION:
        raise newer(path, version)
    if version == 0:
        raise RegistryError(f"{path}: this is not a registry of claudine-mcp. Move it away, then try again.")


def newer(path: Path, version: int) -> RegistryError:
    """Build the error for a registry that a newer program has written."""
    return RegistryError(
        f"{path}: it was written by a newer claudine-mcp (its version is {version}, this program's is {VERSION}). "
        "Nothing was changed. Upgrade this program, or set CLAUDINE_HOME to another directory."
    )


@contextmanager
def translated_errors(path: Path) -> Generator[None]:
    """Turn what sqlite3 raises into what a person can act on."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text:
            raise DiskFull(
                f"{path}: the disk is full; nothing was changed. Free some space, then try again."
            ) from error
        if "readonly" in text or "unable to open" in text:
            raise RegistryError(
                f"{path}: {text}. This user must be able to write to {path.parent}."
            ) from error
        if "locked" in text:
            raise RegistryError(
                f"{path}: another program has held the registry for {BUSY_TIMEOUT_MS // 1000} s. "
                "`claudine-mcp doctor` tells which."
            ) from error
        raise RegistryError(f"{path}: {text}") from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        raise RegistryError(
            f"{path}: it is damaged ({error}). Nothing was changed. Move it away to begin with a new one; "
            "running tasks go on, and their output stays below tasks/."
        ) from error
