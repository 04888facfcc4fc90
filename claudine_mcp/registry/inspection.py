"""The registry looked at from outside, even a damaged or foreign one, without changing anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from claudine_mcp.core.models import JSON
from claudine_mcp.registry.leases import Holder
from claudine_mcp.registry.rows import optional

BUSY_TIMEOUT_S = 5.0
WITH_WORKTREES = 2
"""The first version of the schema that has them."""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What matters of a task from outside: its state, its last run's number, its worktree (`core.worktree`)."""

    state: str
    run: int
    worktree: JSON | None = None


@dataclass(slots=True)
class Inspection:
    """What was found.

    Attributes:
        version: of the schema; 0: it is no registry.
        min_writer_version: of the programs that may write.
        damage: what SQLite's quick check complains about, nothing if it is sound.
        holder: the last supervisor, None if the registry is no registry.
        tasks: by id.
        runs: names of all runs, `TASK.N`.
        open_commands: what was asked for and is not done.
    """

    version: int = 0
    min_writer_version: int = 0
    damage: list[str] = field(default_factory=list[str])
    holder: Holder | None = None
    tasks: dict[str, TaskFacts] = field(default_factory=dict[str, TaskFacts])
    runs: set[str] = field(default_factory=set[str])
    open_commands: int = 0


def inspect(path: Path) -> Inspection:
    """Look at a registry.

    Raises:
        sqlite3.Error: it cannot be read at all.
    """
    try:
        return _inspect(path)
    except sqlite3.Error:
        if not _log(path).exists():
            raise
        return _inspect(path)  # somebody opened it meanwhile


def version_and_holder(path: Path) -> tuple[int, Holder | None]:
    """Give the version of a registry's schema, and who supervised it last at that version.

    Raises:
        sqlite3.Error: it cannot be read, or is no registry.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)) as connection:
        connection.execute("BEGIN")
        row = connection.execute("SELECT epoch, holder, version, taken_at FROM lease").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return int(version), None if row is None else Holder(*row)


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _inspect(path: Path) -> Inspection:
    # Without a log nobody has it open, and opening it the usual way would make one and leave it there.
    mode = "mode=ro" if _log(path).exists() else "immutable=1"
    uri = f"{path.absolute().as_uri()}?{mode}"
    found = Inspection()
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)) as connection:
        damage = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
        found.damage = [] if damage == ["ok"] else damage
        (found.version,) = connection.execute("PRAGMA user_version").fetchone()
        if found.version == 0:
            return found
        connection.execute("BEGIN")
        row = connection.execute("SELECT value FROM meta WHERE key = 'min_writer_version'").fetchone()
        found.min_writer_version = 0 if row is None else int(row[0])
        row = connection.execute("SELECT epoch, holder, version, taken_at FROM lease").fetchone()
        found.holder = None if row is None else Holder(*row)
        worktree = "worktree" if found.version >= WITH_WORKTREES else "NULL"
        for task_id, state, run, made in connection.execute(f"SELECT id, state, run, {worktree} FROM tasks"):
            found.tasks[task_id] = TaskFacts(state, run, optional(made))
        found.runs = {f"{task_id}.{n}" for task_id, n in connection.execute("SELECT task_id, n FROM runs")}
        (found.open_commands,) = connection.execute(
            "SELECT count(*) FROM commands WHERE done_at IS NULL"
        ).fetchone()
    return found
