"""Reading a registry with a million events."""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
from harness import Row, p95, spread

from claudine_mcp.core.models import Severity
from claudine_mcp.registry.alerts import open_alerts
from claudine_mcp.registry.database import Database, Transaction, open_database
from claudine_mcp.registry.events import events_after, events_before, last_seq

EVENTS = 1_000_000
TASKS = 1000
OPEN_ALERTS = 300
PAGE = 200
"""What clients ask for at once."""
TARGET_MS = 10.0
MIX: tuple[tuple[str, Severity, float], ...] = (
    ("task:active", Severity.DEBUG, 0.60),
    ("task:progress", Severity.INFO, 0.30),
    ("task:queued", Severity.INFO, 0.03),
    ("task:started", Severity.INFO, 0.03),
    ("task:ended", Severity.INFO, 0.025),
    ("task:stalled", Severity.WARNING, 0.007),
    ("task:recovered", Severity.NOTICE, 0.007),
    ("task:ended", Severity.WARNING, 0.001),
)
"""Types and severities, and how much of the whole they are; those of `RARE` come besides."""
RARE: tuple[tuple[str, Severity, int], ...] = (
    ("system:overload", Severity.CRITICAL, 3),
    ("api:limited", Severity.ERROR, 5),
)
"""So many of these are the first events of all: the furthest from where a reader usually stands."""

Ask = Callable[[Transaction], Awaitable[list[Any]]]


def measure(*, quick: bool) -> list[Row]:
    """Ask for events from the beginning, the middle and the end, with each kind of filter."""
    with tempfile.TemporaryDirectory(prefix="claudine-bench-") as folder:
        return anyio.run(_measure, Path(folder), 20 if quick else 200)


async def _measure(folder: Path, rounds: int) -> list[Row]:
    async with open_database(folder) as db:
        began = time.perf_counter()
        await fill(db)
        filled_s = time.perf_counter() - began
        rows: list[Row] = []
        for what, ask, plain in queries():
            times, found = await timed(db, ask, rounds)
            note = f"{found} rows; {spread(times)}"
            if plain:
                note += f"; by a scan {1000 * scanned(db.path, plain):.0f} ms"
            rows.append(Row(what, 1000 * p95(times), "ms", TARGET_MS, note))
        size = db.path.stat().st_size / EVENTS
    rows[0] = Row(rows[0].what, rows[0].value, "ms", TARGET_MS, rows[0].note + f"; {size:.0f} bytes an event")
    print(f"a million events: filled within {filled_s:.0f} s")
    return rows


def some(**filters: Any) -> Ask:
    """Give what asks for a page of events."""
    return lambda tx: events_after(tx, limit=PAGE, **filters)


def tasks(count: int) -> list[str]:
    """Give the names of some tasks."""
    return [f"bench{number:05d}" for number in range(count)]


async def _last(tx: Transaction) -> list[int]:
    return [await last_seq(tx)]


def queries() -> Iterator[tuple[str, Ask, str]]:
    """Give what is asked: in words, as it is asked, and as what a scan of the table would have to look for."""
    for where, after in (("the beginning", 0), ("the middle", EVENTS // 2), ("the end", EVENTS - 100)):
        yield f"{PAGE} events from {where}", some(after=after), ""
        yield (
            "… of one task",
            some(after=after, task_ids=tasks(1)),
            f"seq > {after} AND task_id = 'bench00000'",
        )
        yield (
            "… of one task, warnings",
            some(after=after, task_ids=tasks(1), min_severity=Severity.WARNING),
            f"seq > {after} AND task_id = 'bench00000' AND severity >= 3",
        )
        yield "… of 500 tasks, ends", some(after=after, task_ids=tasks(500), types=["task:ended"]), ""
        yield (
            "… of 500 tasks, ends that are warnings",
            some(after=after, task_ids=tasks(500), types=["task:ended"], min_severity=Severity.WARNING),
            "",
        )
        yield "… of a type", some(after=after, types=["task:stalled"]), ""
        yield (
            "… of a type that there hardly is",
            some(after=after, types=["api:limited"]),
            f"seq > {after} AND type = 'api:limited'",
        )
        yield "… warnings", some(after=after, min_severity=Severity.WARNING), ""
        yield (
            "… errors, which there hardly are",
            some(after=after, min_severity=Severity.ERROR),
            f"seq > {after} AND severity >= 4",
        )
        yield (
            "… as WaitForEvents wants them unless told otherwise",
            some(after=after, without=["task:progress"], min_severity=Severity.INFO),
            "",
        )
    yield "the newest cursor", _last, ""
    yield f"the last {PAGE} events", lambda tx: events_before(tx, EVENTS, limit=PAGE), ""
    yield f"open alerts, of which there are {OPEN_ALERTS}", lambda tx: open_alerts(tx, time.time()), ""
    yield (
        "… not yet told to a session",
        lambda tx: open_alerts(tx, time.time(), session="s", handed_less_than=1),
        "",
    )
    yield "… of one task", lambda tx: open_alerts(tx, time.time(), task_id="bench00000"), ""


async def timed(db: Database, ask: Ask, rounds: int) -> tuple[list[float], int]:
    """Ask so often; give the seconds of each, and how many rows came."""
    times: list[float] = []
    found: list[Any] = []
    for number in range(-2, rounds):
        began = time.perf_counter()
        async with db.read() as tx:
            found = await ask(tx)
        if number >= 0:
            times.append(time.perf_counter() - began)
    return times, len(found)


def scanned(path: Path, condition: str) -> float:
    """Give the seconds that the same takes without an index."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        began = time.perf_counter()
        sql = f"SELECT * FROM events NOT INDEXED WHERE {condition} ORDER BY seq LIMIT {PAGE}"
        connection.execute(sql).fetchall()
        return time.perf_counter() - began


async def fill(db: Database) -> None:
    """Put a million events into a registry, and open alerts for some."""
    rng = random.Random(1)
    at = time.time() - EVENTS
    kinds = [(kind, severity.rank) for kind, severity, _ in MIX]
    chosen = rng.choices(kinds, [share for *_, share in MIX], k=EVENTS)
    rare = [(kind, severity.rank) for kind, severity, count in RARE for _ in range(count)]
    chosen[: len(rare)] = rare

    def rows() -> Iterator[tuple[Any, ...]]:
        for number, (kind, severity) in enumerate(chosen):
            task_id = f"bench{rng.randrange(TASKS):05d}" if kind.startswith("task:") else None
            run_id = task_id and f"{task_id}.1"
            yield (at + number, kind, severity, task_id, run_id, "words " * 15, f'{{"taskId":"{task_id}"}}')

    stalled = [
        (n + 1, f"bench{n % TASKS:05d}", kind) for n, (kind, _) in enumerate(chosen) if kind == "task:stalled"
    ]
    async with db.write() as tx:
        await tx.run_many(
            "INSERT INTO tasks (id, kind, name, cwd, spec, priority, state, created_at, queued_at)"
            " VALUES (?, 'command', 'build', '/', '{}', 1, 'running', 0, 0)",
            [(task_id,) for task_id in tasks(TASKS)],
        )
        await tx.run_many(
            "INSERT INTO events (at, type, severity, task_id, run_id, message, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows(),
        )
        await tx.run_many(
            "INSERT INTO alerts (seq, task_id, type) VALUES (?, ?, ?)", rng.sample(stalled, OPEN_ALERTS)
        )
    await db.checkpoint()
