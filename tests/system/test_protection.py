"""Protective mode with real tasks that hold real memory, on a machine that is made to seem small."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from staging import Staged, staged
from support import Home, ended, events_of, in_state, wait_for

from claudine_mcp.core.models import CommandKind, Event, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest

EATING = Path(__file__).parents[1] / "eating.py"
MB = 1 << 20
LONG_S = 90.0


class Small:
    """A small machine, and the tasks that eat its memory."""

    def __init__(self, home: Home, total: int) -> None:
        self.home = home
        self.folder = home.work / "memory"
        self.folder.mkdir()
        self.grows_to(total)

    def grows_to(self, total: int) -> None:
        """Have so much memory from now on."""
        (self.folder / "total").write_text(str(total))

    def wants(self, name: str, what: int | str) -> None:
        """Tell a task how much to hold."""
        fresh = self.folder / f"{name}.new-wants"
        fresh.write_text(str(what))
        fresh.replace(self.folder / f"{name}.wants")

    def ends(self, name: str) -> None:
        """Tell a task to end."""
        (self.folder / f"{name}.ends").touch()

    def held(self, name: str) -> int:
        """Give what a task holds."""
        path = self.folder / f"{name}.bytes"
        return int(path.read_text()) if path.exists() else 0

    async def eats(self, front: Front, name: str, what: int | str, **options: Any) -> Task:
        """Submit a task that holds memory, and wait until it does."""
        self.wants(name, what)
        command = [sys.executable, str(EATING), str(self.folder), name]
        task = await front.submit_command(CommandRequest(command, name=name, **options))
        least = what if isinstance(what, int) else 1
        await wait_for(lambda: self.held(name) >= least, what=f"{name} holds its memory")
        return task


def protect(home: Home, **limits: Any) -> None:
    """Configure protective mode."""
    home.configure(
        monitoring={"level": "protective"},
        limits={"systemMemoryReserve": 100 * MB, "criticalMemory": "2GB"} | limits,
    )


@asynccontextmanager
async def small_machine(home: Home, total: int, at: str = "") -> AsyncIterator[tuple[Small, Front, Staged]]:
    """Have a supervisor that takes the machine for small; it dies at a point, if one is named."""
    small = Small(home, total)
    with staged(home, at, MEMORY=str(small.folder)) as supervisor:
        supervisor.start()
        async with home.front() as front:
            yield small, front, supervisor


async def told(front: Front, task: Task | None, *types: str, many: int = 1) -> list[Event]:
    """Wait for events."""

    async def there() -> list[Event] | None:
        found = await events_of(front, task, *types)
        return found if len(found) >= many else None

    found = await wait_for(there, LONG_S, what=f"{many} of {types}")
    assert found is not None
    return found


async def always(
    front: Front, tasks: list[Task], holds: Callable[[list[State]], bool], until: Task, state: State
) -> None:
    """See that something holds of the states of tasks until one of them is in a state."""

    async def there() -> bool:
        states = [(await front.task(task.id)).state for task in tasks]
        assert holds(states), states
        return (await front.task(until.id)).state is state

    await wait_for(there, LONG_S, what=f"{until.name} is {state}")


def some_run(states: list[State]) -> bool:
    return State.RUNNING in states


async def test_of_three_that_want_too_much_the_least_important_is_suspended_and_goes_on_by_itself(
    home: Home,
) -> None:
    protect(home)
    async with small_machine(home, 400 * MB) as (small, front, _):
        first = await small.eats(front, "first", 40 * MB, priority="P0")
        usual = await small.eats(front, "usual", 40 * MB, priority="P1")
        later = await small.eats(front, "later", 40 * MB, priority="P2")
        tasks = [first, usual, later]
        small.wants("usual", 250 * MB)
        await always(front, tasks, some_run, later, State.SUSPENDED)
        small.wants("usual", 20 * MB)
        small.wants("first", 20 * MB)
        await always(front, tasks, some_run, later, State.RUNNING)
        suspended = (await events_of(front, later, "task:suspended"))[0]
        assert "by protective mode" in suspended.message
        assert "limits.systemMemoryReserve" in suspended.message
        assert [each.data["by"] for each in await events_of(front, later, "task:resumed")] == ["policy"]
        assert not await events_of(front, first, "task:suspended")
        for name in ("first", "usual", "later"):
            small.ends(name)
        for task in tasks:
            # Whatever was stopped in between goes on, and nothing was killed.
            assert (await ended(front, task, LONG_S)).outcome is Outcome.SUCCEEDED


async def test_memory_leak_that_is_alone_is_suspended_and_its_user_is_asked(home: Home) -> None:
    protect(home)
    async with small_machine(home, 400 * MB) as (small, front, _):
        leak = await small.eats(front, "leak", f"+{12 * MB}")
        await in_state(front, leak, State.SUSPENDED, timeout_s=LONG_S)
        held = small.held("leak")
        assert held < 400 * MB
        waits = (await told(front, None, "system:needs-decision"))[0]
        assert waits.data["suspended"][0]["taskId"] == leak.id
        assert "CancelTask" in waits.message
        assert small.held("leak") == held, "what is suspended takes no more"
        small.wants("leak", held)
        small.grows_to(4000 * MB)
        await in_state(front, leak, State.RUNNING, timeout_s=LONG_S)
        await told(front, None, "system:recovered")
        small.ends("leak")
        assert (await ended(front, leak)).outcome is Outcome.SUCCEEDED


async def test_resource_spike_of_a_task_above_its_limit_is_suspended_and_goes_on_by_itself(
    home: Home,
) -> None:
    protect(home, maxMemoryPerTask="100MB", criticalMemory="120MB")
    async with small_machine(home, 4000 * MB) as (small, front, _):
        spiky = await small.eats(front, "spiky", 20 * MB)
        small.wants("spiky", 200 * MB)
        await in_state(front, spiky, State.SUSPENDED, timeout_s=LONG_S)
        small.wants("spiky", 20 * MB)
        await told(front, spiky, "task:resumed")
        await wait_for(lambda: small.held("spiky") <= 20 * MB, what="the spike is over")
        small.ends("spiky")
        assert (await ended(front, spiky)).outcome is Outcome.SUCCEEDED


async def test_a_task_that_stays_above_its_limit_waits_for_its_user_after_three_trials(home: Home) -> None:
    protect(home, maxMemoryPerTask="100MB", criticalMemory="120MB")
    async with small_machine(home, 4000 * MB) as (small, front, _):
        large = await small.eats(front, "large", 200 * MB)
        asked = (await told(front, large, "task:needs-decision"))[0]
        assert [item["action"] for item in asked.suggestions] == ["resume", "cancel", "snooze"]
        assert len(await events_of(front, large, "task:suspended")) == 4
        small.ends("large")
        await front.command(CommandKind.RESUME, large.id, {})
        await ended(front, large)


async def test_what_the_user_has_suspended_is_not_resumed(home: Home) -> None:
    protect(home)
    async with small_machine(home, 4000 * MB) as (small, front, _):
        mine = await small.eats(front, "mine", 20 * MB)
        other = await small.eats(front, "other", 20 * MB)
        await front.command(CommandKind.SUSPEND, mine.id, {})
        small.grows_to(120 * MB)
        await told(front, None, "system:needs-decision")
        small.grows_to(4000 * MB)
        await told(front, None, "system:recovered")
        assert (await front.task(mine.id)).state is State.SUSPENDED
        assert (await front.task(other.id)).state is State.RUNNING
        small.ends("other")
        await ended(front, other)
        await front.command(CommandKind.CANCEL, mine.id, {})


@pytest.mark.parametrize(
    "at", ["protection-decided:1", "suspend-taken:1", "suspend-signalled:1", "suspend-committed:1"]
)
async def test_a_supervisor_that_dies_while_protecting_leaves_nothing_forgotten(home: Home, at: str) -> None:
    protect(home)
    async with small_machine(home, 400 * MB, at) as (small, front, supervisor):
        later = await small.eats(front, "later", 40 * MB, priority="P2")
        usual = await small.eats(front, "usual", 40 * MB)
        small.wants("usual", 280 * MB)
        await supervisor.killed()
        with staged(home, MEMORY=str(small.folder)) as following:
            following.start()
            await in_state(front, later, State.SUSPENDED, timeout_s=LONG_S)
            small.wants("usual", 20 * MB)
            await in_state(front, later, State.RUNNING, timeout_s=LONG_S)
            for name in ("later", "usual"):
                small.ends(name)
            for task in (later, usual):
                assert (await ended(front, task, LONG_S)).outcome is Outcome.SUCCEEDED


async def test_system_overload_holds_the_queue_and_says_why(home: Home) -> None:
    protect(home)
    async with small_machine(home, 400 * MB) as (small, front, _):
        later = await small.eats(front, "later", 40 * MB, priority="P2")
        await small.eats(front, "usual", 280 * MB)
        await in_state(front, later, State.SUSPENDED, timeout_s=LONG_S)
        queued = await front.submit_command(CommandRequest("true", name="queued", priority="P0"))

        async def held() -> bool:
            hold = (await front.task(queued.id)).hold
            return hold is not None and hold["rule"] == "protective"

        await wait_for(held, what="it is held")
        small.ends("usual")
        await ended(front, queued, LONG_S)
        await in_state(front, later, State.RUNNING, timeout_s=LONG_S)
        small.ends("later")
        await ended(front, later)
