"""Priorities in motion with real tasks, on a machine that is made to seem small or busy."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from staging import Staged, staged
from support import Home, ended, events_of, in_state, wait_for

from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest

EATING = Path(__file__).parents[1] / "eating.py"
MB = 1 << 20
LONG_S = 60.0
LOOKS = 20


class Place:
    """A machine, as it is made to seem, and the tasks that run there."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.work / "memory"
        self.folder.mkdir()
        (self.folder / "total").write_text(str(400 * MB))

    def seems_busy(self, load: float) -> None:
        """Have two processors for which so many processes wait or run."""
        fresh = self.folder / "load.new"
        fresh.write_text(str(load))
        fresh.replace(self.folder / "load")

    async def submit(self, front: Front, name: str, megabytes: int, *more: str, **options: Any) -> Task:
        """Submit a task that holds so much memory until it is told to end."""
        (self.folder / f"{name}.wants").write_text(str(megabytes * MB))
        command = [sys.executable, str(EATING), str(self.folder), name, *more]
        return await front.submit_command(CommandRequest(command, name=name, **options))

    async def holds(self, name: str, megabytes: int) -> None:
        """Wait until a task holds its memory."""
        path = self.folder / f"{name}.bytes"
        await wait_for(
            lambda: path.exists() and int(path.read_text() or 0) >= megabytes * MB,
            LONG_S,
            what=f"{name} is large",
        )

    def ends(self, name: str) -> None:
        """Tell a task to end."""
        (self.folder / f"{name}.ends").touch()

    def supervised(self, at: str = "") -> Any:
        """Have a supervisor that sees the machine so."""
        return staged(self.home, at, MEMORY=str(self.folder))


@asynccontextmanager
async def memory_is_short(home: Home, at: str = "") -> AsyncIterator[tuple[Place, Front, Staged, Task, Task]]:
    """Have a large P2 that runs and consents to be hibernated, and a large P0 that waits."""
    home.configure(limits={"systemMemoryReserve": 100 * MB, "criticalMemory": "2GB"})
    place = Place(home)
    with place.supervised(at) as supervisor:
        supervisor.start()
        async with home.front() as front:
            consent = {"canCheckpoint": True}
            low = await place.submit(front, "low", 200, priority="P2", restartable=True, resources=consent)
            await place.holds("low", 200)
            high = await place.submit(front, "high", 20, priority="P0", resources={"minMemory": 250 * MB})
            yield place, front, supervisor, low, high


@asynccontextmanager
async def processors_are_short(
    home: Home, at: str = "", level: str = "active"
) -> AsyncIterator[tuple[Place, Front, Staged, Task, Task]]:
    """Have a P2 that computes, and a P0 that waits for processors."""
    home.configure(
        limits={"systemMemoryReserve": 100 * MB, "criticalMemory": "2GB"},
        scheduling={"maxLoad": 1},
        monitoring={"level": level},
    )
    place = Place(home)
    with place.supervised(at) as supervisor:
        supervisor.start()
        async with home.front() as front:
            low = await place.submit(front, "low", 20, "computes", priority="P2")
            await place.holds("low", 20)
            place.seems_busy(2.1)
            high = await place.submit(front, "high", 20, priority="P0")
            yield place, front, supervisor, low, high


async def finish(place: Place, front: Front, *tasks: Task) -> None:
    """Let all end, and see that nothing was lost."""
    for task in tasks:
        place.ends(task.name)
    for task in tasks:
        assert (await ended(front, task, LONG_S)).outcome is Outcome.SUCCEEDED


async def test_for_memory_a_p2_that_consents_is_hibernated_and_comes_back_by_itself(home: Home) -> None:
    async with memory_is_short(home) as (place, front, _, low, high):
        await in_state(front, low, State.HIBERNATED, timeout_s=LONG_S)
        await in_state(front, high, State.RUNNING, timeout_s=LONG_S)
        told = (await events_of(front, low, "task:hibernated"))[0]
        assert f"gives way to task {high.id} (P0), which waits: needs" in told.message
        assert told.message.endswith("It goes on by itself")
        assert told.data["for"] == high.id
        place.ends("high")
        await ended(front, high, LONG_S)
        await in_state(front, low, State.RUNNING, timeout_s=LONG_S)
        back = (await events_of(front, low, "task:requeued"))[0]
        assert back.message.endswith(
            f"resumed by the queue: task {high.id}, for which it had to give way, has ended"
        )
        await finish(place, front, low)


async def test_for_processors_a_p2_is_suspended_and_comes_back_by_itself(home: Home) -> None:
    async with processors_are_short(home) as (place, front, _, low, high):
        await in_state(front, low, State.SUSPENDED, timeout_s=LONG_S)
        place.seems_busy(0.5)
        await in_state(front, high, State.RUNNING, timeout_s=LONG_S)
        told = (await events_of(front, low, "task:suspended"))[0]
        assert f"suspended by the queue: as P2 it gives way to task {high.id} (P0)" in told.message
        assert told.data["for"] == high.id
        await in_state(front, low, State.RUNNING, timeout_s=LONG_S)
        back = (await events_of(front, low, "task:resumed"))[0]
        assert back.data["by"] == "policy"
        assert back.message.endswith(f"task {high.id}, for which it had to give way, leaves room for it")
        await finish(place, front, low, high)


async def test_at_passive_nothing_gives_way(home: Home) -> None:
    async with processors_are_short(home, level="passive") as (place, front, supervisor, low, high):

        async def is_held() -> bool:
            return ((await front.task(high.id)).hold or {}).get("rule") == "cpu"

        await wait_for(is_held, LONG_S, what="it is held")
        before = len([each for each in supervisor.points if each.startswith("admitted:")])

        def has_looked() -> bool:
            looks = [each for each in supervisor.points if each.startswith("admitted:")]
            return len(looks) >= before + LOOKS

        await wait_for(has_looked, LONG_S, what=f"the queue was looked at {LOOKS} times")
        assert await is_held()
        assert not await events_of(front, low, "task:suspended")
        place.seems_busy(0.1)
        await finish(place, front, low, high)


async def test_what_the_user_has_made_theirs_does_not_come_back(home: Home) -> None:
    async with processors_are_short(home) as (place, front, _, low, high):
        await in_state(front, low, State.SUSPENDED, timeout_s=LONG_S)
        await front.command(CommandKind.SUSPEND, low.id, {})
        place.seems_busy(0.5)
        await in_state(front, high, State.RUNNING, timeout_s=LONG_S)
        other = await place.submit(front, "other", 20, "computes", priority="P2")
        await place.holds("other", 20)
        place.seems_busy(2.1)
        last = await place.submit(front, "last", 20, priority="P0")
        await in_state(front, other, State.SUSPENDED, timeout_s=LONG_S)
        place.seems_busy(0.5)
        await in_state(front, other, State.RUNNING, timeout_s=LONG_S)  # and of two, this one alone
        assert (await front.task(low.id)).state is State.SUSPENDED
        await front.command(CommandKind.RESUME, low.id, {})
        await finish(place, front, low, high, other, last)


@pytest.mark.parametrize(
    "at", ["protection-decided:1", "suspend-signalled:1", "protection-decided:2", "resume-signalled:1"]
)
async def test_a_supervisor_that_dies_while_a_task_gives_way_is_followed_by_one_that_finishes(
    home: Home, at: str
) -> None:
    async with processors_are_short(home, at) as (place, front, supervisor, low, high):
        if not at.endswith("1") or at.startswith("resume"):
            await in_state(front, low, State.SUSPENDED, timeout_s=LONG_S)
            place.seems_busy(0.5)
        process = supervisor.process
        assert process is not None
        await wait_for(lambda: process.poll() is not None, LONG_S, what=f"it died at {at}")
        with place.supervised() as following:
            following.start()
            if at in {"protection-decided:1", "suspend-signalled:1"}:
                await in_state(front, low, State.SUSPENDED, timeout_s=LONG_S)
                place.seems_busy(0.5)
            await in_state(front, high, State.RUNNING, timeout_s=LONG_S)
            await in_state(front, low, State.RUNNING, timeout_s=LONG_S)
            assert len(await events_of(front, low, "task:suspended")) == 1
            assert len(await events_of(front, low, "task:resumed")) == 1
            await finish(place, front, low, high)


@pytest.mark.parametrize("at", ["hibernate-saved:1", "hibernated:1"])
async def test_a_supervisor_that_dies_while_a_task_is_hibernated_for_another_is_followed_by_one_that_finishes(
    home: Home, at: str
) -> None:
    async with memory_is_short(home, at) as (place, front, supervisor, low, high):
        process = supervisor.process
        assert process is not None
        await wait_for(lambda: process.poll() is not None, LONG_S, what=f"it died at {at}")
        with place.supervised() as following:
            following.start()
            await in_state(front, high, State.RUNNING, timeout_s=LONG_S)
            assert (await front.task(low.id)).state is State.HIBERNATED
            place.ends("high")
            await ended(front, high, LONG_S)
            await in_state(front, low, State.RUNNING, timeout_s=LONG_S)
            await finish(place, front, low)
