"""What has ended is kept for a while, then removed."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread

from claudine_mcp.core.paths import run_directory, task_directory, waits_directory
from claudine_mcp.host.days import day_of
from claudine_mcp.host.statedir import discard, discard_drafts, lock_unclaimed
from claudine_mcp.registry.alerts import forget_cleared
from claudine_mcp.registry.database import Database, Transaction
from claudine_mcp.registry.expiry import (
    ended_before,
    expire_commands,
    expire_events,
    expire_signs_of_life,
    remove_ended,
)
from claudine_mcp.registry.spending import KEPT_DAYS, forget_spending
from claudine_mcp.registry.tasks import existing_ids
from claudine_mcp.supervisor.context import Context

log = logging.getLogger(__name__)

EVERY_S = 3600.0
COMMANDS_S = 86_400.0
"""A result is read within seconds of its command; a day is for whoever looks into the registry."""
SIGNS_EVERY_S = 60.0
SIGNS_OF_LIFE_S = 3600.0
"""300 tasks that print make 2.6 million `task:active` a day, of which only the newest tell anything."""
BATCH = 200
EVENTS_BATCH = 2000


class Retention:
    """Removes what is old, once an hour; of signs of life there are more, and they go once a minute."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._due_at = self._signs_due_at = ctx.mono()

    async def sweep(self) -> None:
        """Remove what is older than the settings allow, if it is time to look."""
        mono, now = self._ctx.mono(), self._ctx.wall()
        if mono >= self._signs_due_at:
            self._signs_due_at = mono + SIGNS_EVERY_S
            await self._expire(expire_signs_of_life, now - SIGNS_OF_LIFE_S)
        if mono < self._due_at:
            return
        self._due_at = mono + EVERY_S
        kept = self._ctx.settings.retention
        await self._expire(expire_events, now - kept.tasks / 1000)
        async with self._ctx.db.write() as tx:
            await expire_commands(tx, now - COMMANDS_S)
            await forget_cleared(tx, now - COMMANDS_S)
            await forget_spending(tx, day_of(now - KEPT_DAYS * 86_400))
        removed = await self._remove_tasks(now - kept.tasks / 1000)
        if removed:
            self._ctx.refs_due = True
            log.info("retention removed %d tasks", removed)
        await self._remove_logs(now - kept.logs / 1000)
        await anyio.to_thread.run_sync(self._remove_waits, now - kept.tasks / 1000)

    async def _expire(
        self, expire: Callable[[Transaction, int, float, int], Awaitable[int | None]], before: float
    ) -> None:
        """Remove old events, so many at a time that nobody waits for it."""
        cursor: int | None = 0
        while cursor is not None:
            async with self._ctx.db.write() as tx:
                cursor = await expire(tx, cursor, before, EVENTS_BATCH)

    async def _remove_tasks(self, before: float) -> int:
        """Rows first, then files: what a crash leaves between the two is swept at the next start."""
        count = 0
        while True:
            async with self._ctx.db.write() as tx:
                ids = await remove_ended(tx, before, BATCH)
            for task_id in ids:
                folder = task_directory(self._ctx.state_dir, task_id)
                await anyio.to_thread.run_sync(lambda path=folder: shutil.rmtree(path, ignore_errors=True))
            count += len(ids)
            if len(ids) < BATCH:
                return count

    def _remove_waits(self, before: float) -> None:
        """What a call that waited has answered holds a task's result, and is kept no longer than that."""
        for path in waits_directory(self._ctx.state_dir).glob("*-wait-*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()

    async def _remove_logs(self, before: float) -> None:
        async with self._ctx.db.read() as tx:
            ended = await ended_before(tx, before)
        for task_id, runs in ended:
            for n in range(1, runs + 1):
                for stream in ("stdout", "stderr"):
                    with contextlib.suppress(OSError):
                        (run_directory(self._ctx.state_dir, task_id, n) / f"{stream}.log").unlink(
                            missing_ok=True
                        )


async def remove_unclaimed(state_dir: Path, db: Database) -> None:
    """Remove the files of tasks that were never submitted, or were removed, when a crash came between.

    A submission that is under way holds its directory, which is then left alone.
    """
    async with db.read() as tx:
        known = await existing_ids(tx)
    locked = lock_unclaimed(state_dir, known)
    async with db.read() as tx:
        removed = discard(state_dir, locked, await existing_ids(tx))
    if drafts := discard_drafts(state_dir, Context.wall()):
        log.info("removed what a crash had left half made: %s", ", ".join(sorted(drafts)))
    if removed:
        log.info("removed the files of tasks that do not exist: %s", ", ".join(sorted(removed)))
