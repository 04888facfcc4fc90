"""The queue of a real supervisor: what holds a task, and what becomes of that when supervisors die."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import pytest
from support import Home, ended, in_state, wait_for

from claudine_mcp.core.admission import describe_hold
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import Priority, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.front.updating import update_task
from claudine_mcp.host.system import measure
from claudine_mcp.registry.tasks import ahead_of, get_task

WAITS = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.02)"
RESTARTS = 10


async def waits(front: Front, name: str, **options: Any) -> Task:
    """Submit a task that ends when a file of its name is there."""
    command = [sys.executable, "-c", WAITS, f"{name}.ends"]
    return await front.submit_command(CommandRequest(command, name=name, **options))


async def held(front: Front, task: Task, rule: str) -> dict[str, Any]:
    """Wait until a task is held by a rule; give the hold."""

    async def there() -> dict[str, Any] | None:
        hold = (await front.task(task.id)).hold
        return hold if hold is not None and hold["rule"] == rule else None

    found = await wait_for(there, what=f"{task.name} is held by {rule}")
    assert found is not None
    return found


async def places(front: Front, *tasks: Task) -> list[int]:
    """Give how many stand before each of them."""
    async with front.db.read() as tx:
        return [await ahead_of(tx, await get_task(tx, task.id)) for task in tasks]


def ends(home: Home, name: str) -> None:
    (home.work / f"{name}.ends").touch()


async def test_a_task_that_memory_has_no_room_for_waits_with_its_numbers_and_starts_when_there_is(
    home: Home,
) -> None:
    machine = measure(home.state_dir.parent)
    reserve = machine.available_bytes - 150_000_000
    home.configure(limits={"systemMemoryReserve": reserve})
    async with home.front() as front:
        first = await waits(front, "first")
        await in_state(front, first, State.RUNNING)
        second = await waits(front, "second")

        hold = await held(front, second, "memory")

        assert hold["needBytes"] > hold["freeBytes"]
        assert hold["reserveBytes"] == reserve
        assert "at 99.9 %" in describe_hold(hold)
        ends(home, "first")
        await in_state(front, second, State.RUNNING)  # one task may always run
        ends(home, "second")
        assert (await ended(front, second)).outcome is Outcome.SUCCEEDED


async def test_one_task_may_always_run_however_little_memory_there_is(home: Home) -> None:
    machine = measure(home.state_dir.parent)
    home.configure(limits={"systemMemoryReserve": machine.total_bytes})
    async with home.front() as front:
        alone = await waits(front, "alone")
        await in_state(front, alone, State.RUNNING)
        ends(home, "alone")
        assert (await ended(front, alone)).outcome is Outcome.SUCCEEDED


async def test_what_can_never_be_had_is_refused_with_the_numbers_and_nothing_is_stored(home: Home) -> None:
    home.configure(limits={"systemMemoryReserve": "1GB"})
    async with home.front() as front:
        with pytest.raises(
            InvalidInput, match=r"resources\.minMemory: 5 TB can never be had: .* 1 GB are to be kept"
        ):
            await waits(front, "huge", resources={"minMemory": "5TB"})
        assert home.query("SELECT count(*) FROM tasks") == [(0,)]


async def test_the_memory_that_a_task_says_it_needs_is_a_floor_and_what_it_prefers_gives_way(
    home: Home,
) -> None:
    machine = measure(home.state_dir.parent)
    room = 2_500_000_000
    home.configure(limits={"systemMemoryReserve": machine.available_bytes - room})
    async with home.front() as front:
        first = await waits(front, "first")
        await in_state(front, first, State.RUNNING)
        large = await waits(front, "large", resources={"minMemory": room})
        modest = await waits(front, "modest", resources={"preferredMemory": 2 * room})
        hold = await held(front, large, "memory")
        assert hold["needBytes"] >= room > hold["freeBytes"]
        await in_state(
            front, modest, State.RUNNING
        )  # behind it, and it ends when nobody knows: it fits beside
        assert home.query("SELECT granted_bytes FROM runs WHERE task_id = ?", modest.id) == [(None,)]
        for name in ("first", "modest", "large"):
            ends(home, name)
        assert (await ended(front, large)).outcome is Outcome.SUCCEEDED


async def test_a_priority_may_stand_among_the_resources_and_must_not_contradict(home: Home) -> None:
    async with home.front() as front:
        task = await waits(front, "first", resources={"priority": "P0"})
        assert task.priority is Priority.P0
        with pytest.raises(InvalidInput, match=r"resources\.priority: it is 'P0', and priority is 'P1'"):
            await waits(front, "other", priority="P1", resources={"priority": "P0"})
        ends(home, "first")
        await ended(front, task)


async def test_a_queued_task_is_moved_by_its_priority_at_once(home: Home) -> None:
    home.configure(limits={"softMaxConcurrent": 1, "hardMaxConcurrent": 1})
    async with home.front() as front:
        running = await waits(front, "running")
        await in_state(front, running, State.RUNNING)
        early, late = await waits(front, "early", priority="P1"), await waits(front, "late", priority="P2")
        await held(front, late, "hardCap")
        assert await places(front, early, late) == [0, 1]
        await update_task(front, late.id, priority="P0")
        assert await places(front, early, late) == [1, 0]
        assert (await held(front, late, "hardCap"))["active"] == 1  # which holds P0, too
        ends(home, "running")
        await in_state(front, late, State.RUNNING)
        assert (await front.task(early.id)).state is State.QUEUED
        for name in ("late", "early"):
            ends(home, name)
        await ended(front, early)


@pytest.mark.parametrize("rule", ["hardCap", "memory"])
async def test_ten_restarts_in_the_middle_of_a_full_queue_change_neither_order_nor_reasons(
    home: Home, rule: str
) -> None:
    limits: dict[str, Any] = {"softMaxConcurrent": 1, "hardMaxConcurrent": 1}
    if rule == "memory":
        limits = {"systemMemoryReserve": measure(home.state_dir.parent).total_bytes}
    home.configure(limits=limits)
    async with home.front(keep=True) as front:
        running = await waits(front, "running")
        await in_state(front, running, State.RUNNING)
        priorities = ["P2", "P1", "P0", "P1", "P2", "P0"]
        queued = [await waits(front, f"t{n}", priority=name) for n, name in enumerate(priorities)]
        after = await waits(front, "after", priority="P2", depends_on=[queued[0].id])
        for task in queued:
            await held(front, task, rule)
        await held(front, after, "dependency")
        words = {task.id: (await front.task(task.id)).hold for task in (*queued, after)}
        for _ in range(RESTARTS):
            before = home.epoch()
            await home.kill_supervisor()
            await wait_for(lambda before=before: home.epoch() > before, what="another supervisor")
            await home.supervisor()
            marker = await waits(front, "marker", not_before="2100-01-01T00:00:00Z")
            await held(front, marker, "notBefore")  # the new one has looked at the whole queue
            await front.cancel(marker.id, None)
            for task in (*queued, after):
                now = (await front.task(task.id)).hold
                assert now is not None
                assert now["rule"] == (words[task.id] or {})["rule"]
                if rule == "hardCap":
                    assert now == words[task.id]
        started: list[str] = []
        ends(home, "running")
        for _ in queued:
            found = await wait_for(partial(_started_since, home, started), what="the next starts")
            assert found is not None
            started += found
            for name in found:
                ends(home, name)
        ends(home, "after")
        assert (await ended(front, after)).outcome is Outcome.SUCCEEDED
        assert started == ["t2", "t5", "t1", "t3", "t0", "t4"]


def _started_since(home: Home, known: list[str]) -> list[str]:
    rows = home.query("SELECT name FROM tasks WHERE state IN ('starting', 'running') AND name LIKE 't%'")
    return [name for (name,) in rows if name not in known]
