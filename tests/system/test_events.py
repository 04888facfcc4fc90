"""Events in the registry: read by cursor, whatever is asked for and however many there are; gone when they are old."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from support import Home, events_of

from claudine_mcp.core.config import Settings
from claudine_mcp.core.models import Event, Severity
from claudine_mcp.front.front import Front
from claudine_mcp.registry.alerts import open_alerts
from claudine_mcp.registry.events import FEW_TASKS, NEAR, add_event, events_after, last_seq
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.retention import EVENTS_BATCH, Retention

TYPES = {
    "task:active": Severity.DEBUG,
    "task:progress": Severity.INFO,
    "task:stalled": Severity.WARNING,
    "task:ended": Severity.INFO,
}
TASKS = [f"task{number:04d}" for number in range(2 * FEW_TASKS)]
MANY = 3 * NEAR


@pytest.fixture
async def front(home: Home) -> AsyncGenerator[Front]:
    async with home.front() as opened:
        yield opened


async def store(front: Front, count: int) -> None:
    """Store events of all kinds in no order, with a rare one in the middle and at each end."""
    rng = random.Random(4)
    rows: list[tuple[str, int, str]] = []
    for number in range(count):
        kind = rng.choices(list(TYPES), (60, 25, 1, 14))[0]
        severity = Severity.WARNING if kind == "task:ended" and rng.random() < 0.1 else TYPES[kind]
        if number in {0, count // 2, count - 1}:
            kind, severity = "api:limited", Severity.ERROR
        rows.append((kind, severity.rank, rng.choice(TASKS)))
    async with front.db.write() as tx:
        await tx.run_many(
            "INSERT INTO events (at, type, severity, task_id, message) VALUES (0, ?, ?, ?, '')", rows
        )


async def test_what_is_read_is_what_fits_in_its_order_however_far_it_is_from_the_cursor(front: Front) -> None:
    await store(front, MANY)
    stored = await events_of(front)
    assert len(stored) == MANY
    rng = random.Random(5)
    for _ in range(200):
        after, limit = rng.choice([0, 1, MANY // 2, MANY - 10, MANY]), rng.choice([1, 7, 200, MANY])
        task_ids = rng.sample(TASKS, rng.choice([0, 1, FEW_TASKS, FEW_TASKS + 1]))
        types = rng.choice([[], ["api:limited"], ["task:stalled", "task:ended"], ["no:such"]])
        without = [] if types else rng.choice([[], ["task:progress"], ["task:active", "no:such"]])
        least = rng.choice(list(Severity))
        async with front.db.read() as tx:
            found = await events_after(
                tx,
                after,
                limit=limit,
                task_ids=task_ids,
                types=types,
                without=without,
                min_severity=least,
            )
        wanted = [
            event
            for event in stored
            if event.seq > after
            and (not task_ids or event.task_id in task_ids)
            and (not types or event.type in types)
            and event.type not in without
            and event.severity.rank >= least.rank
        ]
        assert found == wanted[:limit], (after, limit, len(task_ids), types, without, least)


RARE: dict[str, dict[str, Any]] = {
    "of a type": {"types": ["api:limited"]},
    "of a severity": {"min_severity": Severity.ERROR},
    "of one task": {"task_ids": TASKS[:1], "min_severity": Severity.ERROR},
    "of many tasks": {"task_ids": TASKS, "types": ["api:limited"]},
}


@pytest.mark.parametrize("filters", RARE.values(), ids=RARE)
async def test_what_is_rare_takes_no_more_to_find_when_there_is_more_of_the_rest(
    front: Front, filters: dict[str, Any]
) -> None:
    await store(front, MANY)
    before = await steps_of(front, filters)
    await store(front, 5 * MANY)
    assert await steps_of(front, filters) < 1.5 * before


async def steps_of(front: Front, filters: dict[str, Any]) -> int:
    """Give how many hundred steps SQLite's machine takes to read all that fits."""
    steps = itertools.count()
    async with front.db.read() as tx:
        await tx._connection.set_progress_handler(lambda: next(steps) < 0, 100)
        await events_after(tx, 1, limit=200, **filters)
        await tx._connection.set_progress_handler(lambda: False, 0)
    return next(steps)


async def test_signs_of_life_are_kept_for_an_hour_and_other_events_as_long_as_tasks(
    front: Front, home: Home
) -> None:
    now, day_s = time.time(), 86_400
    async with front.db.write() as tx:
        # The clock was wrong when the first was written.
        for age_s in (-day_s, 15 * day_s, 7200, *[7100] * EVENTS_BATCH, 3500):
            await add_event(tx, Event("task:active", Severity.DEBUG, f"{age_s}", now - age_s, task_id="t"))
        for age_s in (15 * day_s, 7200):
            await add_event(tx, Event("system:overload", Severity.WARNING, f"{age_s}", now - age_s))
        newest = await last_seq(tx)
    await Retention(Context(front.db, home.state_dir, home.work, Settings())).sweep()
    left = [(event.type, int(event.message)) for event in await events_of(front)]
    assert left == [("task:active", -day_s), ("task:active", 3500), ("system:overload", 7200)]
    async with front.db.read() as tx:
        assert [alert.event.message for alert in await open_alerts(tx, now)] == ["7200"]
        assert await last_seq(tx) == newest
