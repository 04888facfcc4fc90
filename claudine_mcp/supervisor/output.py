"""What a run prints, read as it grows and understood by its workload."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from claudine_mcp.core.models import JSON, Task
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.observation import ObservedRun
from claudine_mcp.workloads import WORKLOADS

CHUNK_BYTES = 2**20
"""What one step reads: 20 ms, in which nobody else is served."""


@dataclass(frozen=True, slots=True)
class News:
    """What the output of a run tells.

    Attributes:
        shown: what people are shown.
        state: what a reader goes on from.
        offset: how far it was read.
    """

    shown: JSON
    state: JSON
    offset: int


class RunOutput:
    """Follows the standard output of one run.

    Attributes:
        follower: what understands it; None for tasks whose output means nothing to us.
    """

    def __init__(self, ctx: Context, task: Task, seen: ObservedRun, state: Mapping[str, Any] | None) -> None:
        self.follower = WORKLOADS[task.kind].follower(task, seen.path, state)
        self._ctx = ctx
        self._path = seen.path / "stdout.log"
        self._offset = 0 if self.follower is None else self.follower.offset
        self._kept, self._kept_offset = task.seen, self._offset

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

    def may_have_news(self) -> bool:
        """Whether anything was read since something was kept."""
        return self._offset != self._kept_offset

    def news(self, *, force: bool = False) -> News | None:
        """Give what is to be written down, if it tells more than what was kept; else None."""
        if self.follower is None:
            return None
        shown = self.follower.seen()
        if shown == self._kept and not force:
            self._kept_offset = self._offset
            return None
        return News(shown, self.follower.state(), self._offset)

    def keep(self, news: News) -> None:
        """Note that this was written down."""
        self._kept, self._kept_offset = news.shown, news.offset
