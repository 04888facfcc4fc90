"""Hundreds of tasks at once, which are all silent: each is seen and told of once, and nobody is flooded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

import anyio
from support import Home, events_of, wait_for

from claudine_mcp.core.models import Event, Severity
from claudine_mcp.core.pointers import POINTER_CHARS, notice, pointer
from claudine_mcp.front.alerts import SHOWN_AT_MOST, alerts_of
from claudine_mcp.front.front import Front
from claudine_mcp.front.monitoring import configure
from claudine_mcp.front.news import Fate, News
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.registry.metrics import read_latest

TASKS = int(os.environ.get("CLAUDINE_TEST_MANY_TASKS", "300"))
WAIT_S = 240.0
"""On a quiet machine with two cores all of it takes half a minute."""
SUBMITTERS = 20
ONCE = {"task:queued", "task:started", "task:stalled", "task:ended"}
OPENS_THE_GATE = ["sh", "-c", ": < gate"]
"""Waits until someone opens it for writing: one process, which does nothing."""


async def submit_all(front: Front) -> list[str]:
    ids: list[str] = []

    async def submit() -> None:
        while len(ids) < TASKS:
            ids.append("")
            ids[ids.index("")] = (await front.submit_command(CommandRequest(OPENS_THE_GATE))).id

    async with anyio.create_task_group() as group:
        for _ in range(SUBMITTERS):
            group.start_soon(submit)
    return ids


def count(home: Home, state: str) -> int:
    return home.query("SELECT count(*) FROM tasks WHERE state = ?", state)[0][0]


async def untold(news: News) -> list[Event] | None:
    """Give what is to be told, once it is as much as there are tasks."""
    found = await news.untold(waking=True)
    return found if len(found) == TASKS else None


async def told_by_nobody(_: Front) -> Callable[[Event], Fate]:
    return lambda _event: "untold"


async def test_hundreds_of_tasks_are_seen_at_once_and_told_of_once(home: Home) -> None:
    home.configure(
        limits={"softMaxConcurrent": TASKS, "hardMaxConcurrent": TASKS},
        monitoring={"sampleInterval": "1s", "stallThreshold": "1h"},
    )
    os.mkfifo(home.work / "gate")
    async with home.front(keep=True) as front:
        ids = await submit_all(front)
        news = News(front, 0, told_by_nobody)
        await wait_for(lambda: count(home, "running") == TASKS, WAIT_S, what="all run")
        runs = [f"{task_id}.1" for task_id in ids]
        await wait_for(lambda: len(read_latest(home.state_dir, runs)) == TASKS, WAIT_S, what="all sampled")

        await configure(front, {"stallThreshold": "1s"}, task=None, reset=False, by_agent=False)
        told = await wait_for(lambda: untold(news), WAIT_S, what="all stalled") or []
        assert {event.task_id for event in told} == set(ids)
        assert {(event.type, event.severity) for event in told} == {("task:stalled", Severity.WARNING)}
        assert len({event.at for event in told}) == 1  # at the same tick
        shown = await alerts_of(front)
        assert (len(shown.alerts), shown.more) == (SHOWN_AT_MOST, TASKS - SHOWN_AT_MOST)
        line = pointer(told)
        assert len(line) <= POINTER_CHARS
        assert line.startswith(f"{TASKS} of task:stalled. ")
        assert f"the most severe of {TASKS}" in notice(told)
        await news.told(told)
        assert await news.untold(waking=True) == []

        os.close(os.open(home.work / "gate", os.O_RDWR))
        await wait_for(lambda: count(home, "ended") == TASKS, WAIT_S, what="all have ended")
        await wait_for(lambda: not home.query("SELECT 1 FROM runs WHERE gone_at IS NULL"), WAIT_S)
        counted = Counter((event.task_id, event.type) for event in await events_of(front))
        assert {key: times for key, times in counted.items() if key[0] and times != 1} == {}
        assert {kind for _, kind in counted if kind.startswith("task:")} == ONCE
        assert home.query("SELECT DISTINCT outcome FROM tasks") == [("succeeded",)]
        assert (await alerts_of(front)).alerts == []
        await wait_for(lambda: not home.query("SELECT 1 FROM judgements WHERE subject <> ''"), WAIT_S)
    assert "failed" not in home.log()
