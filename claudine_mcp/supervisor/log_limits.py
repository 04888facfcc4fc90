"""Output within `limits.maxLogBytes`: the beginning of a stream is released, and told of once."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import anyio.to_thread

from claudine_mcp.core.errors import TaskNotFound
from claudine_mcp.core.models import Run
from claudine_mcp.host.holes import can_release, release_head, released_bytes
from claudine_mcp.registry.events import add_event, events_after
from claudine_mcp.registry.tasks import get_task
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.context import Context, Stream
from claudine_mcp.supervisor.watcher import Watcher

log = logging.getLogger(__name__)

STREAMS: Final = ("stdout", "stderr")
KEPT_SHARE: Final = 0.75
"""Of the limit, what is left when the beginning is released: so that it need not be done again at once."""
HURRY_SHARE: Final = 0.25
"""Of the limit, what a stream may grow in one tick before it is looked at more often."""


class LogLimits:
    """Knows how long the streams of all runs are, and keeps them within the limit.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.

    Attributes:
        sizes: of every stream when it was measured last, in bytes.
        is_hurried: whether a stream grows so fast that it should be looked at before the next tick.
    """

    def __init__(self, ctx: Context, watchers: Mapping[str, Watcher]) -> None:
        self._ctx = ctx
        self._watchers = watchers
        self.sizes: Mapping[Stream, int] = {}
        self._paths: dict[Stream, Path] = {}
        self._released: dict[Stream, int] = {}
        self._announced: set[Stream] = set()
        self._can_release: bool | None = None
        self.is_hurried = False

    def measure(self, folders: Mapping[str, Path]) -> dict[str, int]:
        """Look at the size of every stream; give the bytes that each run has printed. Blocks.

        Args:
            folders: the directory of each run.
        """
        before, limit = self.sizes, self._ctx.settings.limits.max_log_bytes
        self._paths = {
            Stream(run, name): path / f"{name}.log" for run, path in folders.items() for name in STREAMS
        }
        self.sizes = {stream: _size(path) for stream, path in self._paths.items()}
        self._released = {stream: until for stream, until in self._released.items() if stream in self.sizes}
        self._announced &= self.sizes.keys()
        grown = (size - before.get(stream, size) for stream, size in self.sizes.items())
        self.is_hurried = self._can_release is not False and any(more > limit * HURRY_SHARE for more in grown)
        printed = dict.fromkeys(folders, 0)
        for stream, size in self.sizes.items():
            printed[stream.run_id] += size
        return printed

    async def enforce(self) -> None:
        """Release the beginning of every stream that was too long when it was measured, or is as its run is over."""
        for stream, size in self.sizes.items():
            watcher = self._watchers.get(stream.run_id)
            if watcher is not None:
                releasable = watcher.releasable_bytes(stream.name)
                if await self._limit(watcher.run, stream, self._paths[stream], size, releasable):
                    watcher.press_output()
        over, self._ctx.over = self._ctx.over, []
        for run, folder in over:
            for name in STREAMS:
                path = folder / f"{name}.log"
                with contextlib.suppress(FileNotFoundError):  # its task was removed meanwhile
                    await self._limit(run, Stream(run.id, name), path, _size(path), sys.maxsize)

    async def _limit(self, run: Run, stream: Stream, path: Path, size: int, releasable: int) -> bool:
        """Release what is too much of a stream; give whether more of it would have to be releasable for that."""
        limit = self._ctx.settings.limits.max_log_bytes
        if size <= limit:
            return False
        released = self._released.get(stream)
        if released is None:
            released = self._released[stream] = await anyio.to_thread.run_sync(_released, path)
        if size - released <= limit:
            return False
        if self._can_release is None:
            self._can_release = await anyio.to_thread.run_sync(can_release, self._ctx.state_dir)
            if not self._can_release:
                log.warning(
                    "%s: its file system cannot release a part of a file; output is not limited",
                    self._ctx.state_dir,
                )
        if stream not in self._announced:
            await self._announce(stream, run)
            self._announced.add(stream)
        if not self._can_release:
            return False
        wanted = size - int(limit * KEPT_SHARE)
        until = min(wanted, releasable)
        if until > released:
            self._released[stream] = await anyio.to_thread.run_sync(release_head, path, until) or released
        return until < wanted

    async def _announce(self, stream: Stream, run: Run) -> None:
        """Say it once, whatever happens to the supervisor: before anything is released."""
        async with self._ctx.db.write() as tx:
            told = await events_after(tx, 0, task_ids=[run.task_id], types=["task:log-limit"])
            if any(event.run_id == stream.run_id and event.data["stream"] == stream.name for event in told):
                return
            try:
                task = await get_task(tx, run.task_id)
            except TaskNotFound:
                return
            event = announce.log_limit(
                task,
                run,
                stream.name,
                self._ctx.settings.limits.max_log_bytes,
                self._ctx.wall(),
                released=bool(self._can_release),
            )
            await add_event(tx, event)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _released(path: Path) -> int:
    try:
        return released_bytes(path)
    except OSError:
        return 0
