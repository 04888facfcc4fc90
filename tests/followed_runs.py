"""Delegated runs that are followed and have no processes, only output."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claude_recordings import line
from support import Home

from claudine_mcp.core.config import Settings
from claudine_mcp.core.models import Run, Task
from claudine_mcp.core.states import Trigger
from claudine_mcp.front.delegate import DelegateRequest, delegate
from claudine_mcp.front.front import Front
from claudine_mcp.host.lease import try_take
from claudine_mcp.registry.tasks import add_run, move
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.notes import Notes
from claudine_mcp.supervisor.watcher import Watcher


@dataclass
class Stage:
    """Runs that are followed, and a clock that only the test sets."""

    home: Home
    front: Front
    ctx: Context
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
async def stage(home: Home, runs: int, settings: Settings | None = None) -> AsyncGenerator[Stage]:
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
        ctx = Clocked(front.db, front.state_dir, Path("no keeper"), settings or Settings())
        tasks = [await delegate(front, DelegateRequest(f"prompt {number}")) for number in range(runs)]
        watchers = [await followed(ctx, task) for task in tasks]
        notes = Notes(ctx, {watcher.run.id: watcher for watcher in watchers})
        try:
            yield Stage(home, front, ctx, notes, watchers, now)
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
