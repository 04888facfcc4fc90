"""Output within `limits.maxLogBytes`: the beginning of a stream is released, and told of once."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import anyio.to_thread

from claudine_mcp.core.errors import TaskNotFound
from claudine_mcp.core.models import Run
from claudine_mcp.host.files import regular_bytes
from claudine_mcp.host.holes import CannotRelease, can_release, release_head, released_bytes
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
"""Of the limit, what a stream may grow by from one tick to the next before it is looked at more often."""
AGAIN_AFTER_S: Final = 60.0
"""Until it is tried again to shorten a stream that could not be."""


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
        self._measured_at = ctx.mono()
        self._not_before: dict[Stream, float] = {}

    def measure(self, folders: Mapping[str, Path]) -> dict[str, int]:
        """Look at the size of every stream; give the bytes that each run has printed. Blocks.

        Args:
            folders: the directory of each run.
        """
        before, settings, now = self.sizes, self._ctx.settings, self._ctx.mono()
        self._paths = {
            Stream(run, name): path / f"{name}.log" for run, path in folders.items() for name in STREAMS
        }
        self.sizes = {stream: regular_bytes(path) for stream, path in self._paths.items()}
        self._released = {stream: until for stream, until in self._released.items() if stream in self.sizes}
        self._announced &= self.sizes.keys()
        self._not_before = {each: at for each, at in self._not_before.items() if each in self.sizes}
        elapsed_s, self._measured_at = now - self._measured_at, now
        # In a look that comes soon, a stream must have grown by less to be as fast.
        fast = (
            settings.limits.max_log_bytes
            * HURRY_SHARE
            / (settings.monitoring.sample_interval / 1000)
            * elapsed_s
        )
        grown = (size - before.get(stream, size) for stream, size in self.sizes.items())
        self.is_hurried = self._can_release is not False and any(more > fast for more in grown)
        printed = dict.fromkeys(folders, 0)
        for stream, size in self.sizes.items():
            printed[stream.run_id] += size
        return printed

    async def enforce(self) -> None:
        """Release the beginning of every stream that was too long when it was measured, or is as its run is over."""
        paths = self._paths
        for stream, size in self.sizes.items():
            watcher, path = self._watchers.get(stream.run_id), paths.get(stream)
            if watcher is not None and path is not None:
                releasable = watcher.releasable_bytes(stream.name)
                if await self._try_to_limit(watcher.run, stream, path, size, releasable):
                    watcher.press_output()
        while self._ctx.over:
            run, folder = self._ctx.over[0]
            for name in STREAMS:
                path = folder / f"{name}.log"
                await self._try_to_limit(run, Stream(run.id, name), path, regular_bytes(path), sys.maxsize)
            self._ctx.over.pop(0)

    async def _try_to_limit(self, run: Run, stream: Stream, path: Path, size: int, releasable: int) -> bool:
        """Limit a stream; one that cannot be, as its run has replaced the file, keeps no other from it."""
        now = self._ctx.mono()
        if now < self._not_before.get(stream, now):
            return False
        try:
            return await self._limit(run, stream, path, size, releasable)
        except (OSError, CannotRelease) as error:
            if stream not in self._not_before:
                log.warning("%s of run %s is not limited: %s", stream.name, stream.run_id, error)
            self._not_before[stream] = now + AGAIN_AFTER_S
            return False

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
            self._can_release = await anyio.to_thread.run_sync(_can_release, self._ctx.state_dir)
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


def _can_release(directory: Path) -> bool:
    try:
        return can_release(directory)
    except OSError:
        return True  # the disk is full, and nothing can be tried; the stream itself will tell


def _released(path: Path) -> int:
    try:
        return released_bytes(path)
    except OSError:
        return 0
