"""What a run prints, read as it grows and understood by its workload."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from claudine_mcp.core.models import Task
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.observation import ObservedRun
from claudine_mcp.workloads import WORKLOADS

CHUNK_BYTES = 2**20
"""What one step reads: 20 ms, in which nobody else is served."""
STORE_EVERY_S = 1.0


class RunOutput:
    """Follows the standard output of one run.

    Attributes:
        follower: what understands it; None for tasks whose output means nothing to us.
        kept_offset: up to where everything that it tells is in the registry: nobody reads that again.
    """

    def __init__(self, ctx: Context, task: Task, seen: ObservedRun, state: Mapping[str, Any] | None) -> None:
        self.follower = WORKLOADS[task.kind].follower(task, seen.path, state)
        self._ctx = ctx
        self._path = seen.path / "stdout.log"
        self._offset = 0 if self.follower is None else self.follower.offset
        self.kept_offset = self._handed_out = self._offset
        self._is_pressed = False
        self._shown: Mapping[str, Any] | None = task.seen
        self._stored_at = -STORE_EVERY_S

    def has_grown(self) -> bool:
        """Whether there is something to read."""
        if self.follower is None:
            return False
        try:
            return self._path.stat().st_size > self._offset
        except OSError:
            return False

    def read(self) -> bool:
        """Read a piece; give whether there is more."""
        if self.follower is None:
            return False
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            data = os.pread(fd, CHUNK_BYTES, self._offset)
        finally:
            os.close(fd)
        self._offset += len(data)
        self.follower.feed(data, self._ctx.wall())
        return len(data) == CHUNK_BYTES

    def read_to_end(self) -> None:
        """Read all that is left; blocks for as long as that takes."""
        while self.read():
            pass
        if self.follower is not None:
            self.follower.finish()

    def has_news(self) -> bool:
        """Whether something is to be written down when it is time."""
        return self.follower is not None and (self._is_pressed or self.follower.seen() != self._shown)

    def press(self) -> None:
        """Have what is known written down soon, whether it is news or not: the log is to be shortened."""
        self._is_pressed = self.follower is not None and self.follower.offset > self.kept_offset

    def stored(self) -> None:
        """Note that what `news` has given is in the registry."""
        self.kept_offset = self._handed_out
        self._is_pressed = False

    def due_in_s(self) -> float:
        """Give in how many seconds news may be written down."""
        return max(0.0, self._stored_at + STORE_EVERY_S - self._ctx.mono())

    def news(self, *, force: bool = False) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """Give what to show and what to keep, if there is news and it is time to write it down; else None."""
        if self.follower is None:
            return None
        shown = self.follower.seen()
        now = self._ctx.mono()
        is_news = self._is_pressed or shown != self._shown
        if not force and (not is_news or now - self._stored_at < STORE_EVERY_S):
            return None
        self._shown, self._stored_at, self._handed_out = shown, now, self.follower.offset
        return shown, self.follower.state()
