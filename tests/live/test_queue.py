"""Forty tasks of three kinds under a budget of memory: it is kept, and no processor waits for work that could run.

What the tasks use is measured here, apart from what the supervisor measures.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import anyio
import psutil
import pytest
from support import Home, ended

from claudine_mcp.core.models import Task
from claudine_mcp.core.states import State
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.host.system import measure

pytestmark = pytest.mark.live

PROGRAM = Path(__file__).parents[1] / "spinning.py"
BUDGET_BYTES = 1_200_000_000
LOOK_EVERY_S = 0.5
TASKS = 40
WARM_UP = 3
"""Runs of each kind before: of what has never run, only a guess is known."""
SEED = 6


class Sort(NamedTuple):
    """What one kind of task takes, about."""

    name: str
    megabytes: int
    seconds: tuple[float, float]


SORTS = (Sort("small", 60, (2.0, 5.0)), Sort("medium", 180, (5.0, 10.0)), Sort("large", 400, (8.0, 16.0)))


class Look(NamedTuple):
    """One sample of all.

    Attributes:
        used_bytes: by the processes of all tasks.
        budget_bytes: what they may use by what is available now.
        running: tasks whose program runs.
        queued: tasks that wait.
    """

    used_bytes: int
    budget_bytes: int
    running: int
    queued: int


@dataclass
class Watch:
    """Samples, as long as it runs."""

    home: Home
    front: Front
    reserve_bytes: int
    looks: list[Look] = field(default_factory=list[Look])

    async def run(self) -> None:
        while True:
            self.looks.append(await self._look())
            await anyio.sleep(LOOK_EVERY_S)

    async def _look(self) -> Look:
        states = dict(self.home.query("SELECT state, count(*) FROM tasks GROUP BY state"))
        sizes = [size for process in _programs(self.home.work) if (size := _used_bytes(process))]
        used = sum(sizes)
        available = measure(self.home.state_dir.parent).available_bytes
        return Look(used, available + used - self.reserve_bytes, len(sizes), states.get(State.QUEUED, 0))


def _programs(work: Path) -> list[psutil.Process]:
    """Give the processes of tasks: those that run the program in their working directory."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if str(PROGRAM) in process.cmdline() and process.cwd() == str(work):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _used_bytes(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


async def submit(front: Front, sort: Sort, number: int, chance: random.Random) -> Task:
    """Submit a task of a kind, with what it takes drawn."""
    megabytes, seconds = round(sort.megabytes * chance.uniform(0.8, 1.2)), chance.uniform(*sort.seconds)
    command = [
        sys.executable,
        str(PROGRAM),
        sort.name,
        "--megabytes",
        str(megabytes),
        "--seconds",
        f"{seconds:.1f}",
    ]
    return await front.submit_command(CommandRequest(command, name=f"{sort.name} {number}"))


@asynccontextmanager
async def watching(home: Home, front: Front, reserve_bytes: int) -> AsyncGenerator[Watch]:
    watch = Watch(home, front, reserve_bytes)
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run)
        yield watch
        group.cancel_scope.cancel()


def longest(of: Sequence[bool]) -> int:
    """Give how many in a row are true at most."""
    most = now = 0
    for is_so in of:
        now = now + 1 if is_so else 0
        most = max(most, now)
    return most


async def test_forty_tasks_keep_a_budget_of_memory_and_leave_no_processor_idle(home: Home) -> None:
    chance = random.Random(SEED)
    reserve = measure(home.state_dir.parent).available_bytes - BUDGET_BYTES
    home.configure(
        limits={"systemMemoryReserve": reserve, "softMaxConcurrent": 20, "hardMaxConcurrent": 40},
        scheduling={"maxLoad": 4},
    )
    async with home.front(keep=True) as front:
        before = [await submit(front, sort, n, chance) for n in range(WARM_UP) for sort in SORTS]
        for task in before:
            await ended(front, task, 300)

        async with watching(home, front, reserve) as watch:
            tasks = [await submit(front, SORTS[n % len(SORTS)], n, chance) for n in range(TASKS)]
            for task in tasks:
                await ended(front, task, 600)

    waited = [look for look in watch.looks if look.queued]
    started_late = sum(look.running < (os.cpu_count() or 1) for look in waited)
    over = longest([look.used_bytes > max(BUDGET_BYTES, look.budget_bytes) for look in watch.looks])
    most = max(look.used_bytes for look in watch.looks)
    usual = sum(look.used_bytes for look in waited) / len(waited)
    print(  # noqa: T201 - the figures are for people
        f"{len(watch.looks)} samples; {usual / 1e6:.0f} MB on average and {most / 1e6:.0f} MB at most"
        f" of {BUDGET_BYTES / 1e6:.0f} MB, above it in {over} samples in a row;"
        f" fewer tasks than processors in {started_late} of {len(waited)} samples with a queue"
    )
    assert over <= 1
    assert started_late <= len(waited) / 10
