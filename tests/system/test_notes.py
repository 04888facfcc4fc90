"""What the output of runs tells, written down: the runs have no processes here, only output."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from claude_recordings import INIT, RESULT
from followed_runs import stage
from support import Home

from claudine_mcp.registry.database import Database, DiskFull
from claudine_mcp.supervisor import output
from claudine_mcp.supervisor.notes import WRITE_EVERY_S


@dataclass
class Commits:
    """Counts them."""

    count: int = 0
    fail: list[Exception] = field(default_factory=list[Exception])


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Commits:
    made, write = Commits(), Database.write

    @asynccontextmanager
    async def counted(self: Database) -> AsyncGenerator[Any]:
        async with write(self) as tx:
            yield tx
            if made.fail:
                raise made.fail.pop()
        made.count += tx.on_disk_changed

    monkeypatch.setattr(Database, "write", counted)
    return made


async def test_what_all_runs_tell_is_written_down_together(home: Home, commits: Commits) -> None:
    async with stage(home, 3) as on:
        for number, watcher in enumerate(on.watchers):
            on.say(watcher, {**INIT, "model": f"model-{number}"})
        on.notes.read()
        before = commits.count
        await on.notes.write()
        assert commits.count == before + 1
        assert [await on.model(each) for each in on.watchers] == ["model-0", "model-1", "model-2"]
        assert on.notes.due_in_s() is None


async def test_nothing_is_written_while_nothing_is_new(home: Home, commits: Commits) -> None:
    async with stage(home, 1) as on:
        on.say(on.watchers[0], INIT)
        on.notes.read()
        await on.notes.write()
        before = commits.count
        on.now[0] += 10
        on.say(on.watchers[0], {"type": "tool_progress", "heartbeat": True})
        on.notes.read()
        await on.notes.write()
        await on.notes.write()
        assert (commits.count, on.notes.due_in_s()) == (before, None)


async def test_what_comes_soon_after_waits_for_its_time(home: Home) -> None:
    async with stage(home, 2) as on:
        first, second = on.watchers
        on.say(first, INIT)
        on.notes.read()
        await on.notes.write()
        on.say(second, INIT)
        on.now[0] += WRITE_EVERY_S / 4
        on.notes.read()
        await on.notes.write()
        assert (await on.model(second), on.notes.due_in_s()) == (None, WRITE_EVERY_S * 3 / 4)
        on.now[0] += WRITE_EVERY_S * 3 / 4
        await on.notes.write()
        assert await on.model(second) == "m"


async def test_what_did_not_fit_on_the_disk_is_written_later(home: Home, commits: Commits) -> None:
    async with stage(home, 1) as on:
        on.say(on.watchers[0], INIT)
        on.notes.read()
        commits.fail.append(DiskFull("full"))
        with pytest.raises(DiskFull):
            await on.notes.write()
        assert (await on.model(on.watchers[0]), on.notes.due_in_s()) == (None, WRITE_EVERY_S)
        on.now[0] += WRITE_EVERY_S
        await on.notes.write()
        assert await on.model(on.watchers[0]) == "m"


async def test_a_run_that_makes_a_step_is_left_alone(home: Home) -> None:
    async with stage(home, 1) as on:
        (watcher,) = on.watchers
        on.say(watcher, INIT)
        on.notes.read()
        on.say(watcher, {**INIT, "model": "other"})
        async with watcher._stepping:  # a thread may be reading to the end
            watcher.wake = type(watcher.wake)()
            on.notes.read()
            await on.notes.write()
            assert watcher.wake.is_set()
            assert await on.model(watcher) is None
        on.now[0] += WRITE_EVERY_S
        on.notes.read()
        await on.notes.write()
        assert await on.model(watcher) == "other"


async def test_a_step_is_made_of_output_that_asks_for_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(home, 3) as on:
        silent, over, long = on.watchers
        on.say(silent, INIT)
        on.say(over, INIT, RESULT)
        on.say(long, *[INIT] * 100)
        monkeypatch.setattr(output, "CHUNK_BYTES", 1000)
        on.notes.read()
        assert [each.wake.is_set() for each in (silent, over, long)] == [False, True, True]
