"""`metrics.db`: the series, apart from the registry, so that a sample wakes nobody and nothing precious is beside it.

The file is disposable: nothing waits for the disk (`synchronous=OFF`), and one that is damaged or of another version is
replaced. One supervisor writes; whoever wants to read opens it for the moment. All of this blocks.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.core.series import MACHINE_METRICS, TASK_METRICS, Row, Stat

log = logging.getLogger(__name__)

FILE = "metrics.db"
VERSION = 1
SPAN_S = 10
"""What a stored row sums up."""
HOUR_S = 3600
FINE_S = 86_400.0
"""How long rows of `SPAN_S` are kept; then they become hours."""
BUSY_TIMEOUT_S = 1.0
MACHINE = "machine"
"""The subject of the machine's own series; all others are run ids."""

_METRICS = {"task": TASK_METRICS, "machine": MACHINE_METRICS}
_PARTS = ("mean", "low", "high")


class MetricsError(ClaudineError):
    """The series cannot be read or written; nothing else depends on them."""


class Latest(NamedTuple):
    """The last sample of a subject, as JSON has it; `at` in seconds since the epoch."""

    at: float
    sample: dict[str, Any]


def _columns(kind: str) -> list[str]:
    return [f"{metric}_{part}" for metric in _METRICS[kind] for part in _PARTS]


def _schema() -> str:
    tables = [
        f"CREATE TABLE {kind}_series (subject TEXT NOT NULL, span INTEGER NOT NULL, at INTEGER NOT NULL,"
        f" samples INTEGER NOT NULL, {', '.join(f'{column} REAL' for column in _columns(kind))},"
        " PRIMARY KEY (subject, span, at)) STRICT, WITHOUT ROWID;"
        for kind in _METRICS
    ]
    latest = "CREATE TABLE latest (subject TEXT PRIMARY KEY, at REAL NOT NULL, sample TEXT NOT NULL) STRICT;"
    return f"BEGIN; {' '.join(tables)} {latest} PRAGMA user_version = {VERSION}; COMMIT;"


class MetricsStore:
    """Writes the series. For the supervisor only, from one thread at a time.

    Args:
        directory: the state directory.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._connection: sqlite3.Connection | None = None

    def write(
        self,
        tasks: Iterable[tuple[str, Row]],
        machine: Iterable[Row],
        latest: Iterable[tuple[str, Latest]],
    ) -> None:
        """Store rows, and the last sample of each subject, in one transaction.

        Raises:
            MetricsError: there is no space, or no permission.
        """
        rows = {"task": list(tasks), "machine": [(MACHINE, row) for row in machine]}
        newest = [(subject, last.at, json.dumps(last.sample)) for subject, last in latest]
        with self._transaction() as connection:
            for kind, found in rows.items():
                marks = ", ".join("?" * (4 + len(_columns(kind))))
                connection.executemany(
                    f"INSERT OR REPLACE INTO {kind}_series VALUES ({marks})",
                    [_values(subject, row) for subject, row in found],
                )
            connection.executemany("INSERT OR REPLACE INTO latest VALUES (?, ?, ?)", newest)

    def tidy(self, now: float, kept_s: float, known: Collection[str]) -> None:
        """Make hours of what is older than a day; remove what is older than `kept_s`, and what belongs to no task.

        Args:
            now: seconds since the epoch.
            kept_s: how long samples are kept.
            known: the ids of all tasks.

        Raises:
            MetricsError: there is no space, or no permission.
        """
        fine_until = (now - FINE_S) // HOUR_S * HOUR_S
        with self._transaction() as connection:
            subjects = [subject for (subject,) in connection.execute("SELECT subject FROM latest")]
            for subject in subjects:
                kind = "machine" if subject == MACHINE else "task"
                is_known = subject == MACHINE or subject.rpartition(".")[0] in known
                connection.execute(
                    _hours(kind), (HOUR_S, HOUR_S, HOUR_S, subject, SPAN_S, fine_until, HOUR_S)
                )
                connection.execute(
                    f"DELETE FROM {kind}_series WHERE subject = ? AND span = ? AND at < ?",
                    (subject, SPAN_S, fine_until),
                )
                until = now - kept_s if is_known else now + HOUR_S
                for span in (SPAN_S, HOUR_S):
                    connection.execute(
                        f"DELETE FROM {kind}_series WHERE subject = ? AND span = ? AND at < ?",
                        (subject, span, until),
                    )
                connection.execute("DELETE FROM latest WHERE subject = ? AND at < ?", (subject, until))

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            self._give_up(error)
            with _translated(self._path):
                connection = self._open()
                connection.execute("BEGIN IMMEDIATE")
        with _translated(self._path):
            try:
                yield connection
                connection.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                self._give_up(error)
                raise
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._connection = connection
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._path.chmod(0o600)
                connection.executescript(_schema())
            elif version != VERSION:
                raise sqlite3.DatabaseError(f"its version is {version}, not {VERSION}")
        return self._connection

    def _give_up(self, error: sqlite3.DatabaseError) -> None:
        """Let go of the file; remove it, too, if it is to blame."""
        if self._connection is not None and self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
        self.close()
        if not isinstance(error, sqlite3.OperationalError):
            log.warning("%s: it is replaced, and its series are lost: %s", self._path, error)
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(FILE + suffix).unlink(missing_ok=True)


def read_series(directory: Path, subject: str, since: float, until: float) -> list[Row]:
    """Give the rows of a run, or of the machine, that begin within a window, oldest first.

    Raises:
        MetricsError: there are none to be read.
    """
    kind = "machine" if subject == MACHINE else "task"
    with _reading(directory) as connection:
        found = connection.execute(
            f"SELECT at, span, samples, {', '.join(_columns(kind))} FROM {kind}_series"
            " WHERE subject = ? AND span IN (?, ?) AND at > ? - span AND at <= ? ORDER BY at",
            (subject, SPAN_S, HOUR_S, since, until),
        )
        return [_row(values) for values in found]


def read_latest(directory: Path, subjects: Iterable[str]) -> dict[str, Latest]:
    """Give the last sample of each of these subjects that has one.

    Raises:
        MetricsError: there are none to be read.
    """
    found: dict[str, Latest] = {}
    with _reading(directory) as connection:
        for subject in subjects:
            row = connection.execute("SELECT at, sample FROM latest WHERE subject = ?", (subject,)).fetchone()
            if row is not None:
                found[subject] = Latest(row[0], json.loads(row[1]))
    return found


@contextmanager
def _reading(directory: Path) -> Generator[sqlite3.Connection]:
    path = directory / FILE
    if not path.exists():
        raise MetricsError("no samples are kept yet")
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with _translated(path), closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as connection:
        connection.execute("PRAGMA query_only = ON")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            raise sqlite3.DatabaseError(f"its version is {version}, not {VERSION}")
        yield connection


@contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise MetricsError(f"{path}: the samples are out of reach ({error})") from error


def _values(subject: str, row: Row) -> list[Any]:
    values: list[Any] = [
        subject,
        round(row.span_s),
        int(row.at),
        max((s.samples for s in row.stats if s), default=0),
    ]
    for stat in row.stats:
        values += (None, None, None) if stat is None else (stat.mean, stat.low, stat.high)
    return values


def _row(values: Sequence[Any]) -> Row:
    at, span, samples, *numbers = values
    parts = [numbers[place : place + len(_PARTS)] for place in range(0, len(numbers), len(_PARTS))]
    return Row(
        at,
        span,
        tuple(None if part[0] is None else Stat(part[0], part[1], part[2], samples) for part in parts),
    )


def _hours(kind: str) -> str:
    """Give the statement that makes hours of finer rows."""
    sums = ", ".join(
        f"sum({metric}_mean * samples) / sum(CASE WHEN {metric}_mean IS NOT NULL THEN samples END),"
        f" min({metric}_low), max({metric}_high)"
        for metric in _METRICS[kind]
    )
    return (
        f"INSERT OR REPLACE INTO {kind}_series SELECT subject, ?, at / ? * ?, sum(samples), {sums}"
        f" FROM {kind}_series WHERE subject = ? AND span = ? AND at < ? GROUP BY at / ?"
    )
