"""What the output of runs tells, written down: the runs have no processes here, only output."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from claude_recordings import INIT, RESULT, line
from support import Home

from claudine_mcp.core.config import Settings
from claudine_mcp.core.models import Run, Task
from claudine_mcp.core.states import Trigger
from claudine_mcp.front.delegate import DelegateRequest, delegate
from claudine_mcp.front.front import Front
from claudine_mcp.host.lease import try_take
from claudine_mcp.registry.database import Database, DiskFull
from claudine_mcp.registry.tasks import add_run, move
from claudine_mcp.supervisor import output
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.notes import WRITE_EVERY_S, Notes
from claudine_mcp.supervisor.watcher import Watcher


@dataclass
class Stage:
    """Runs that are followed, and a clock that only the test sets."""

    home: Home
    front: Front
    notes: Notes
    watchers: list[Watcher]
    now: list[float]

    def say(self, watcher: Watcher, *messages: dict[str, Any]) -> None:
        """Append to a run's output."""
        with (self.home.run_path(watcher.task_id) / "stdout.log").open("ab") as file:
            file.write(b"".join(map(line, messages)))

    async def model(self, watcher: Watcher) -> str | None:
        """Give the model that is shown of a task."""
        return ((await self.front.task(watcher.task_id)).seen or {}).get("model")


@asynccontextmanager
async def stage(home: Home, runs: int) -> AsyncGenerator[Stage]:
    """Follow some runs of tasks that no supervisor starts."""
    program = home.folder / "claude"
    program.write_text("#!/bin/sh\necho '2.1.328 (Claude Code)'\n")
    program.chmod(0o700)
    home.configure(claude={"command": str(program)})
    now = [100.0]

    class Clocked(Context):
        @staticmethod
        def mono() -> float:
            return now[0]

    async with home.front() as front:
        lease = try_take(front.state_dir)  # no front starts a supervisor
        assert lease is not None
        ctx = Clocked(front.db, front.state_dir, Path("no keeper"), Settings())
        tasks = [await delegate(front, DelegateRequest(f"prompt {number}")) for number in range(runs)]
        watchers = [await followed(ctx, task) for task in tasks]
        notes = Notes(ctx, {watcher.run.id: watcher for watcher in watchers})
        try:
            yield Stage(home, front, notes, watchers, now)
        finally:
            for watcher in watchers:
                watcher.seen.close()
            lease.release()


async def followed(ctx: Context, task: Task) -> Watcher:
    """Give the watcher of a task's first run, which has printed nothing."""
    run = Run(task.id, 1, 1.0)
    async with ctx.db.write() as tx:
        await move(tx, task, Trigger.ADMIT, None, run=1)
        await add_run(tx, run)
    watcher = Watcher(ctx, task.id, run)
    watcher.seen.path.mkdir()
    (watcher.seen.path / "stdout.log").touch()
    await watcher.output(task)
    return watcher


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
